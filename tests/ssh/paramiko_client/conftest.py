"""A laptop without OpenSSH: a home with ~/.ssh, and connections that paramiko makes by it."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.targets.ssh import SSHTarget
from ocattach.execution import CommandResult
from ocattach.transports.base import Ask
from ocattach.transports.ssh.paramiko.connection import ParamikoConnection
from tests.rigs.machine import Machine
from tests.rigs.namespaces import run
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import KINDS, Person


class Laptop:
    """The user's ~/.ssh, and connections from there. Close it: it closes them."""

    def __init__(self, machines: SSHMachines, folder: Path) -> None:
        self.machines = machines
        self.folder = folder
        self.ssh = folder / ".ssh"
        self.ssh.mkdir()
        self.known_hosts = self.ssh / "known_hosts"
        self.connections: list[ParamikoConnection] = []
        self._before = set(threading.enumerate())
        shutil.copy(machines.known_hosts, self.known_hosts)
        self.configure()

    def threads(self) -> set[threading.Thread]:
        """Those of ours that were not there before this laptop was."""
        return {each for each in set(threading.enumerate()) - self._before if "ocattach" in each.name}

    def configure(self, settings: str = "", identity: Path | None = None) -> None:
        """Let settings come before those that every test needs."""
        hosts = "".join(
            f"Host {name}\n  HostName {self.machines[name].address}\n"
            + (f"  ProxyJump {kind.behind}\n" if kind.behind else "")
            for name, kind in KINDS.items()
        )
        (self.ssh / "config").write_text(
            f"{settings}\n{hosts}Host *\n  User {self.machines.user}\n  StrictHostKeyChecking yes\n"
            f"  IdentityFile {identity or self.machines.identity}\n"
        )

    def forget_hosts(self, settings: str = "StrictHostKeyChecking ask") -> None:
        """Know no host."""
        self.known_hosts.unlink()
        self.configure(settings)

    def connect(
        self,
        host: str,
        person: Ask | None = None,
        *,
        timeout: float = 30,
        remembers: bool = True,
        **target: Any,
    ) -> ParamikoConnection:
        """Connect to a machine, by the name that the configuration has for it."""
        connection = ParamikoConnection(
            SSHTarget(host, **target), ask=person or Person(), timeout=timeout, remembers=remembers
        )
        self.connections.append(connection)
        return connection

    def greet(self, host: str, person: Ask | None = None, **options: Any) -> str:
        """Return the hostname of a machine, as it calls itself."""
        connection = self.connect(host, person, **options)
        try:
            return run_on(connection, "hostname").stdout.decode().strip()
        finally:
            connection.close()

    def make_key(self, name: str = "key", *, passphrase: str = "", options: Sequence[str] = ()) -> Path:
        """Make a key pair in ~/.ssh."""
        key = self.ssh / name
        run("ssh-keygen", "-q", "-t", "ed25519", *options, "-N", passphrase, "-C", name, "-f", key)
        return key

    def close(self) -> None:
        """Close every connection."""
        for connection in self.connections:
            connection.close()


def run_on(
    connection: ParamikoConnection, *argv: str, stdin: bytes = b"", timeout: float = 20
) -> CommandResult:
    """Run a command on a connection."""
    return connection.run(argv, stdin=stdin, timeout=timeout)


def public(machines: SSHMachines, name: str) -> str:
    """Return a machine's key: type and base64."""
    return " ".join(Path(f"{machines.host_key(name)}.pub").read_text().split()[:2])


@pytest.fixture
def laptop(machines: SSHMachines, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """A laptop that knows every machine and has the key that most accept."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(workdir))
    laptop = Laptop(machines, workdir)
    yield laptop
    laptop.close()


@pytest.fixture
def main(main: Machine) -> Iterator[Machine]:
    """The plain machine, which goes back to its own key."""
    before = (main.home / ".ssh/authorized_keys").read_text()
    yield main
    main.write(".ssh/authorized_keys", before)
