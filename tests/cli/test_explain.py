"""`explain` tells what would be run, and touches nothing: no engine, no host, no other program."""

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

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
        """Have the project define an environment."""
        folder = self.directory / "project/.opencode"
        folder.mkdir(exist_ok=True)
        (folder / "ocattach.json").write_text(json.dumps({"environments": {"team": entry}}))

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

    def assert_untouched(self) -> None:
        """Nobody has connected, and nothing was run."""
        for listener in (self.unix, self.tcp):
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert not self.ran.exists()


@pytest.fixture
def onlooker(workdir: Path) -> Iterator[Onlooker]:
    with ExitStack() as stack:
        yield Onlooker(workdir, stack)


@pytest.mark.parametrize(
    "uri",
    [
        "docker://frontend-app:/app",
        "docker://compose/shop/web",
        "podman://web",
        "ssh://deploy@127.0.0.1:{port}/var/www/app",
        "k8s://deployment/api?container=main",
        "k8s://selector/app=api",
        "http://127.0.0.1:{port}",
        "local:///tmp",
    ],
)
def test_nothing_is_touched(onlooker: Onlooker, uri: str) -> None:
    before = onlooker.files()
    ran = onlooker.run(uri.format(port=onlooker.port))

    assert ran.returncode == 0, ran.stderr
    assert "reached by" in ran.stdout
    onlooker.assert_untouched()
    assert before == onlooker.files()


def test_the_sockets_do_see_who_knocks(onlooker: Onlooker) -> None:
    subprocess.run(
        [sys.executable, "-m", "ocattach", "doctor", "--timeout", "1", "docker://frontend-app"],
        env=onlooker.variables,
        check=False,
        capture_output=True,
    )

    knocked, _ = onlooker.unix.accept()
    knocked.close()


@pytest.mark.parametrize(
    ("uri", "begins"),
    [
        (
            "docker://deploy@frontend-app:/app",
            "docker --host unix://{home}/engine exec -i --user deploy frontend-app sh",
        ),
        (
            "docker://compose/shop/web",
            "docker --host unix://{home}/engine compose --project-name shop exec -T web sh",
        ),
        ("ssh://deploy@staging:2222/srv", "ssh -p 2222 -l deploy staging -- sh"),
        ("k8s://deployment/api", "kubectl --context team --namespace apps exec -i deployment/api -- sh"),
        ("local:///tmp", "sh -c"),
    ],
)
def test_the_command_is_one_that_can_be_pasted(onlooker: Onlooker, uri: str, begins: str) -> None:
    ran = onlooker.run(uri)

    assert f"$ {begins.format(home=onlooker.directory)}" in ran.stdout


def test_source_hiding_and_approval_are_told(onlooker: Onlooker) -> None:
    onlooker.define({"transport": "docker", "container": "theirs"})
    file = f"{onlooker.directory}/project/.opencode/ocattach.json"
    alone = onlooker.run("team")
    onlooker.save("team", {"transport": "docker", "container": "mine"})
    hiding = json.loads(onlooker.run("team", "-o", "json").stdout)

    assert file in alone.stdout
    assert "ocattach trust team" in alone.stdout
    assert hiding["source"]["kind"] == "user"
    assert hiding["trusted"] is True
    assert [(hidden["source"]["path"], hidden["uri"].partition("?")[0]) for hidden in hiding["hides"]] == [
        (file, "docker://theirs")
    ]


def test_variables_are_named_and_their_values_are_not(onlooker: Onlooker) -> None:
    entry = {
        "transport": "docker",
        "container": "frontend-app",
        "env": {"TOKEN": SECRET},
        "forward_env": ["TEAM_KEY", "OTHER_KEY"],
        "unset_env": ["HTTP_PROXY"],
    }
    onlooker.save("mine", entry)
    people, scripts = onlooker.run("mine"), onlooker.run("mine", "-o", "json")

    assert SECRET not in people.stdout + people.stderr + scripts.stdout + scripts.stderr
    assert "TOKEN" in people.stdout
    assert "OTHER_KEY (not set here)" in people.stdout
    assert json.loads(scripts.stdout)["daemon"] == {
        "port": None,
        "opencode": None,
        "env": ["TOKEN"],
        "unset_env": ["HTTP_PROXY"],
        "forward_env": [{"name": "TEAM_KEY", "set": True}, {"name": "OTHER_KEY", "set": False}],
    }


def test_headers_are_named_and_their_values_are_not(onlooker: Onlooker) -> None:
    onlooker.save(
        "team-url", {"transport": "http", "url": "https://example.com", "headers": {"X-Key": SECRET}}
    )
    ran = onlooker.run("team-url")

    assert "X-Key" in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr


def test_a_name_that_means_nothing_is_told(onlooker: Onlooker) -> None:
    assert onlooker.run("nothing").returncode == 3
