"""The account whose podman it is, at a terminal where that podman is: ocattach runs there as that account."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.environments.environment import programs
from tests.rigs.local import user_environment
from tests.rigs.podman import PodmanEngine

SERVICE = ("system", "service")
SECONDS = 60


@dataclass
class Account:
    """Its files are below a directory; no variable and no file tells where its podman is."""

    engine: PodmanEngine
    directory: Path
    variables: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        search = programs(self.directory)
        self.variables = {**user_environment(self.directory, search), **self.engine.variables}
        self.variables["PATH"] = f"{search}:{self.variables['PATH']}"
        for folder in (self.directory, *self.directory.rglob("*")):
            self.engine.give(folder)

    @property
    def runtime(self) -> Path:
        """Where its links have their sockets."""
        return Path(self.variables["OCATTACH_RUNTIME_DIR"])

    def run(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self._run(self.engine.inside(*argv))

    def _run(
        self, argv: list[str], variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            env={**self.variables, **(variables or {})},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def ocattach(
        self, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ocattach to its end."""
        return self._run(self.engine.ocattach(*arguments), variables)

    def connect(self, uri: str) -> dict[str, Any]:
        """What `ocattach URI --print-url -o json` prints."""
        ran = self.ocattach(uri, "--print-url", "-o", "json")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        document: dict[str, Any] = json.loads(ran.stdout)
        return document

    def processes(self, *words: str, program: str = "") -> list[psutil.Process]:
        """The account's processes of a program with these arguments, those of its test engine left out."""
        found = []
        for process in psutil.process_iter():
            try:
                argv = process.cmdline()
                is_ours = process.environ().get("OCATTACH_RUNTIME_DIR") == str(self.runtime)
            except (psutil.Error, OSError):
                continue
            if is_ours and argv and program in argv[0] and set(words) <= set(argv):
                found.append(process)
        return found

    def services(self) -> list[psutil.Process]:
        """The podman services that were started from here."""
        return self.processes(*SERVICE, program="podman")

    def links(self) -> list[psutil.Process]:
        """Its link processes."""
        return self.processes("ocattach.link")
