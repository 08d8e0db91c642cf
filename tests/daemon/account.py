"""An account on a machine with its own processes, network, mounts and host name, where our scripts run."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ocattach.daemon import DaemonSettings, DaemonStatus, Probe, probe, start_daemon, stop_daemon
from ocattach.daemon.probe import FoundDaemon
from ocattach.execution import CommandResult
from ocattach.transports.loader import SCRIPT, loader_input
from tests.rigs.availability import need, require
from tests.rigs.daemons import entering
from tests.rigs.namespaces import Confined

STUB = """\
#!/usr/bin/python3
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"healthy":true,"version":"1.18.33"}')

words = " ".join(sys.argv).replace("=", " ").split()
host = words[words.index("--hostname") + 1] if "--hostname" in words else "127.0.0.1"
with http.server.ThreadingHTTPServer((host, int(words[words.index("--port") + 1])), Handler) as server:
    print(f"opencode server listening on http://{host}:{server.server_port}", flush=True)
    server.serve_forever()
"""
"""Listens and answers as OpenCode does, with its command line."""

OWN_KILL = 'kill() { env kill "$@"; }\n'
"""Hides the shell's own kill; procps 4.0.2 reads some negative numbers as every process."""


PARENT = ["sh", "-c", 'cd /; exec "$@"', "sh"]
"""nsenter's directory is not in the namespace, in which ksh93 crashes."""

TOOLS = (
    "[ awk cat chmod cut date dd echo env grep head id kill ln ls "
    "mkdir mv od printf ps pwd readlink rm sed sleep sort tail tr uname wc"
)


def tools(directory: Path, *more: str) -> str:
    """Return a folder for PATH that only has what POSIX has, so neither flock nor setsid, and the programs named."""
    directory.mkdir()
    for name in (*TOOLS.split(), *more):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    return str(directory)


@dataclass(frozen=True)
class Account:
    """An account there, and how commands get in: with which shell, variables and wrapping command."""

    machine: Confined
    home: Path
    shell: Sequence[str] = ("sh",)
    variables: dict[str, str] = field(default_factory=dict)
    within: Sequence[str] = ()
    before: str = ""
    """Shell text before each script."""

    path: str = "/usr/bin:/bin"

    def but(self, **changes: object) -> "Account":
        """The same with something else."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs a command there, from this machine."""
        variables = {"HOME": str(self.home), "PATH": self.path, **self.variables}
        return [
            *entering(self.machine),
            *PARENT,
            *self.within,
            "env",
            "-i",
            *(f"{name}={value}" for name, value in variables.items()),
            *argv,
        ]

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run a command as containers and hosts do; `sh -c`, and its loader, by the account's shell."""
        if tuple(argv[:2]) == ("sh", "-c"):
            argv = [*self.shell, "-c", self.before + argv[2], *argv[3:]]
        done = subprocess.run(
            self.command([*self.shell, "-c", SCRIPT]),
            input=loader_input(argv) + stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def program(self, name: str = "opencode") -> str:
        """A program there that behaves as OpenCode, under any name."""
        file = self.home / "programs" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(STUB)
        file.chmod(0o755)
        return str(file)

    def probe(self, settings: DaemonSettings | None = None) -> Probe:
        return probe(self.run, settings or DaemonSettings(opencode=self.program()), timeout=20)

    def start(self, program: str | None = None, *, password: str = "secret", **settings: Any) -> DaemonStatus:
        given = DaemonSettings(opencode=program or self.program(), **settings)
        return start_daemon(self.run, given, password=password, timeout=15)

    def daemon(self) -> FoundDaemon | None:
        return self.probe().daemon(None)

    def stop(self, pid: int) -> int | None:
        return stop_daemon(self.run, pid=pid)

    @contextmanager
    def by_hand(self, *words: str, variables: dict[str, str] | None = None) -> Iterator[int]:
        """A program that runs there until the end; its port is the one after "PORT" was replaced, here 5001."""
        argv = [word.replace("PORT", "5001") for word in words]
        given = self.but(variables={**self.variables, **(variables or {})})
        with subprocess.Popen(given.command(argv), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert "listening" in process.stdout.readline()
            try:
                yield 5001
            finally:
                self.end_all("5001")

    def end_all(self, word: str) -> None:
        """End what has that word on its command line."""
        subprocess.run([*entering(self.machine), "pkill", "-KILL", "-f", word], check=False)

    def servers(self) -> list[int]:
        """The processes that behave as OpenCode."""
        return self.pids("python3 .*--port")

    def pids(self, pattern: str) -> list[int]:
        """The processes there with such a command line."""
        argv = [*entering(self.machine), "pgrep", "-f", pattern]
        return [int(word) for word in subprocess.run(argv, capture_output=True, check=False).stdout.split()]

    def rename_host(self, name: str) -> None:
        """Give the machine another name."""
        subprocess.run([*entering(self.machine), "hostname", name], check=True)


@contextmanager
def machine(directory: Path, setup: str = "") -> Iterator[Confined]:
    """A machine that only has what tests start."""
    with require("shells"):
        need("unshare", "nsenter", "hostname", "python3", root=True)
        made = Confined(["sleep", "100000"], log=directory / "log", hostname="first", setup=setup)
    try:
        yield made
    finally:
        made.kill()
