"""A laptop on which it is seen whether a command connects to anything or runs anything."""

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

PROGRAMS = ("docker", "podman", "ssh", "kubectl", "opencode", "plugin", "sh")
SECRET = "hunter2-the-secret"


class Onlooker:
    """A laptop whose engines and hosts are sockets that see whether anybody knocks, and programs that say they ran."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.ran = directory / "ran"
        self.unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        self.unix.bind(str(directory / "engine"))
        self.tcp = stack.enter_context(socket.socket())
        self.tcp.bind(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        for listener in (self.unix, self.tcp):
            listener.listen()
            listener.setblocking(False)
        (directory / "bin").mkdir()
        for name in PROGRAMS:
            program = directory / "bin" / name
            program.write_text(f"#!/bin/sh\necho {name} >>{shlex.quote(str(self.ran))}\n")
            program.chmod(0o755)
        (directory / "kubeconfig").write_text(self.kubeconfig())
        self.variables = {
            "HOME": str(directory),
            "PATH": str(directory / "bin"),
            "KUBECONFIG": str(directory / "kubeconfig"),
            "DOCKER_HOST": f"unix://{directory}/engine",
            "CONTAINER_HOST": f"tcp://127.0.0.1:{self.port}",
            "TEAM_KEY": SECRET,
        }
        (directory / "project").mkdir()

    def kubeconfig(self) -> str:
        """A cluster behind the socket, with a program that would give the credentials."""
        server = {"server": f"http://127.0.0.1:{self.port}"}
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "plugin",
            "interactiveMode": "Never",
        }
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "team",
                "clusters": [{"name": "c", "cluster": server}],
                "users": [{"name": "u", "user": {"exec": plugin}}],
                "contexts": [{"name": "team", "context": {"cluster": "c", "user": "u", "namespace": "apps"}}],
            }
        )

    def define(self, entry: Mapping[str, Any]) -> None:
        """Have the project define an environment named "team"."""
        self.define_all({"team": entry})

    def define_all(self, entries: Mapping[str, Any]) -> None:
        """Have the project define environments."""
        folder = self.directory / "project/.opencode"
        folder.mkdir(exist_ok=True)
        (folder / "ocattach.json").write_text(json.dumps({"environments": entries}))

    def save(self, name: str, entry: Mapping[str, Any]) -> None:
        folder = self.directory / ".config/ocattach/connections"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(json.dumps(entry))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ocattach", "explain", *arguments],
            env=self.variables,
            cwd=self.directory / "project",
            capture_output=True,
            text=True,
            check=False,
        )

    def files(self) -> set[Path]:
        return {*self.directory.rglob("*")}

    def connections(self) -> int:
        """How many there were since the last call."""
        count = 0
        for listener in (self.unix, self.tcp):
            with suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()
                    count += 1
        return count

    def programs(self) -> set[str]:
        """Those that were run."""
        return set(self.ran.read_text().split()) if self.ran.exists() else set()

    def assert_untouched(self) -> None:
        """Nothing has connected, and nothing was run."""
        assert self.connections() == 0
        assert not self.programs()
