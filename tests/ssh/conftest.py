"""Machines of many kinds, and a client whose configuration a test can choose."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.transport import SSHTransport
from tests.rigs import one_time_codes
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.machine import Machine
from tests.rigs.namespaces import run
from tests.rigs.ssh import Kind, SSHMachines

NO_KEYS = "PubkeyAuthentication no\n"
KEYS_ONLY = Kind().settings
PAM = "UsePAM yes\nKbdInteractiveAuthentication yes\n"
KINDS = {
    "main": Kind(has_opencode=False),
    "jump": Kind(has_opencode=False),
    "inner": Kind(behind="jump", has_opencode=False),
    "deep": Kind(behind="inner", has_opencode=False),
    "nofwd": Kind(settings=f"{KEYS_ONLY}AllowTcpForwarding no\n"),
    "elsewhere": Kind(settings=f"{KEYS_ONLY}PermitOpen 127.0.0.1:1\n"),
    "narrow": Kind(settings=f"MaxSessions 1\n{KEYS_ONLY}"),
    "narrow-nofwd": Kind(settings=f"MaxSessions 1\n{KEYS_ONLY}AllowTcpForwarding no\n"),
    "busy": Kind(settings=f"MaxStartups 1\nLoginGraceTime 2\n{KEYS_ONLY}", has_opencode=False),
    "hasty": Kind(settings=f"LoginGraceTime 3\nPasswordAuthentication yes\n{PAM}", has_opencode=False),
    "passwd": Kind(settings=f"{NO_KEYS}PasswordAuthentication yes\nUsePAM yes\n", has_opencode=False),
    "codes": Kind(
        settings=f"{NO_KEYS}PasswordAuthentication no\nBanner /run/machine/banner\n{PAM}",
        pam=one_time_codes.PAM,
        files={"codes": one_time_codes.FILE, "banner": "Authorised people only\n\x1b[31mred\n"},
        has_opencode=False,
    ),
    "steps": Kind(
        settings=f"AuthenticationMethods publickey,password\nPasswordAuthentication yes\n{PAM}",
        has_opencode=False,
    ),
    "certified": Kind(
        settings=f"{KEYS_ONLY}AuthorizedKeysFile none\nTrustedUserCAKeys /run/machine/authority.pub\n"
        "HostCertificate /run/machine/host_key-cert.pub\n",
        has_opencode=False,
    ),
}


def is_connected(address: str) -> bool:
    """Whether a process has a connection to an address that the other side has not ended."""
    return any(
        connection.raddr[:1] == (address,) and connection.status == "ESTABLISHED"
        for connection in psutil.net_connections()
    )


class Person:
    """Somebody who answers the questions they know, by a word in each, and keeps what was asked."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[Question] = []
        self.notices: list[str] = []

    def __call__(self, question: Question) -> str:
        if question.notice:
            self.notices.append(question.text)
            return ""
        self.asked.append(question)
        for word, answer in self.answers.items():
            if re.search(word, question.text, re.IGNORECASE):
                return answer
        raise AssertionError(question)


class Client:
    """A laptop: its ssh configuration, and handlers that go by it."""

    def __init__(self, machines: SSHMachines, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machines = machines
        self.folder = folder
        self.known_hosts = folder / "known_hosts"
        self._monkeypatch = monkeypatch
        self._path = os.environ["PATH"]
        self.configure()

    def configure(self, settings: str = "", **files: Path) -> None:
        """Let settings come before those of the rig; `identity` and `known_hosts` may be other ones."""
        shim = self.machines.client_bin(self.folder / "bin", settings=settings, **files)
        self._monkeypatch.setenv("PATH", f"{shim}:{self._path}")

    def forget_hosts(self, settings: str = "StrictHostKeyChecking ask") -> None:
        """Know no host, and keep what is learnt in `known_hosts`."""
        self.known_hosts.unlink(missing_ok=True)
        self.configure(f"UserKnownHostsFile {self.known_hosts}\n{settings}")

    def handler(self, host: str, person: Ask | None = None, **entry: Any) -> SSHTransport:
        """A handler for a machine, by the name that the configuration has for it."""
        spec = ConnectionSpec.from_entry({"transport": "ssh", "host": host, **entry})
        return SSHTransport(spec, ask=person or Person(), timeout=30)

    def greet(self, host: str, person: Ask | None = None, **entry: Any) -> str:
        """The hostname of a machine, told by itself."""
        with self.handler(host, person, **entry) as handler:
            return handler.run(["hostname"], timeout=60).stdout.decode().strip()

    def make_key(self, name: str = "key", *, passphrase: str = "", options: tuple[str, ...] = ()) -> Path:
        """A new key pair."""
        key = self.folder / name
        run("ssh-keygen", "-q", "-t", "ed25519", *options, "-N", passphrase, "-C", name, "-f", key)
        return key


@pytest.fixture(scope="session")
def _machines(opencode_bin: str) -> Iterator[SSHMachines]:  # noqa: ARG001  some machines mount it
    with require("ssh"), short_directory() as directory:
        one_time_codes.need_module()
        machines = SSHMachines(directory, kinds=KINDS)
        machines.certify("certified")
        with machines:
            yield machines


@pytest.fixture
def machines(_machines: SSHMachines) -> Iterator[SSHMachines]:
    """The machines, each as if nobody had logged in."""
    yield _machines
    for name in KINDS:
        _machines[name].set_shell("/bin/bash")
        for file in (".bashrc", ".profile", ".bash_profile", ".config"):
            path = _machines[name].home / file
            if path.is_file():
                path.unlink()


@pytest.fixture
def client(machines: SSHMachines, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A laptop that knows every machine and has the key that most accept."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Client(machines, workdir, monkeypatch)


@pytest.fixture
def main(machines: SSHMachines) -> Machine:
    """The plain machine."""
    return machines["main"]
