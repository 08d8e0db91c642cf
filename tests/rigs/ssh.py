"""Real sshd on machines of its own: network, processes, hostname, home, /tmp, and a user found only there.

main    public key                              nofwd   forwarding is administratively prohibited
jump    public key, leads to inner              passwd  password only
inner   wired to jump and to nothing else       bare    no OpenCode

Tests that need other ones describe them by a Kind each.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.rigs import links
from tests.rigs.availability import Unavailable, need
from tests.rigs.daemons import Daemon
from tests.rigs.machine import PASSWORD, USER, USER_ID, Machine, setup_script, sshd_config
from tests.rigs.namespaces import PROGRAMS, Confined, init_program, run
from tests.rigs.opencode import opencode_bin
from tests.rigs.waiting import wait_until

SSHD = "/usr/sbin/sshd"  # sshd wants to be called by its absolute path

GREETING_SECONDS = 5.0
"""How long sshd may take to greet on a busy machine."""
NEEDED = (*PROGRAMS, SSHD, "ssh", "ssh-keygen", "openssl")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is particular about a machine."""

    settings: str = "PasswordAuthentication no\nUsePAM no\n"
    behind: str | None = None
    has_opencode: bool = True
    pam: str = ""
    """What sshd's PAM service asks, in the place of the system's; the machine's files are in /run/machine."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Further files in /run/machine."""

    server: tuple[str, ...] = (SSHD, "-D", "-e", "-f", "/run/machine/sshd.conf")
    """The ssh server: a program that stays in the foreground and logs to stderr."""


KINDS = {
    "main": Kind(),
    "nofwd": Kind(settings=Kind().settings + "AllowTcpForwarding no\nAllowStreamLocalForwarding no\n"),
    "passwd": Kind(settings="PubkeyAuthentication no\nPasswordAuthentication yes\nUsePAM yes\n"),
    "jump": Kind(),
    "inner": Kind(behind="jump"),
    "bare": Kind(has_opencode=False),
}


class SSHMachines:
    """The machines, and what a client needs to reach them.

    OpenSSH finds its files by the account, not by $HOME. So `bin`, to be put first on PATH, holds an `ssh`
    that knows the machines' names: `ssh -G main` answers as on a laptop where they are configured.
    """

    def __init__(
        self,
        directory: Path,
        names: Iterable[str] | None = None,
        *,
        kinds: Mapping[str, Kind] = KINDS,
        opencode: bool = True,
    ) -> None:
        """Keep everything below this directory; without opencode no machine has it."""
        need(*NEEDED, root=True)
        init_program()
        self.directory = directory
        self.identity = directory / "id"
        self.stranger_identity = directory / "stranger"
        """A key that no machine accepts."""
        self.known_hosts = directory / "known_hosts"
        self.changed_known_hosts = directory / "changed_known_hosts"
        """As known_hosts, but each machine is known by another key than its own."""
        self.askpass = directory / "askpass"
        """For SSH_ASKPASS, together with SSH_ASKPASS_REQUIRE=force: it answers with the password."""
        self.password = PASSWORD
        self.user = USER
        self.authority = directory / "authority"
        """A key that machines may trust to sign those of users and hosts."""
        self._openssh = shutil.which("ssh")
        self._kinds = kinds
        self._names = tuple(kinds if names is None else names)
        self._opencode = opencode
        self._machines: dict[str, Machine] = {}

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    @property
    def addresses(self) -> set[str]:
        """The addresses of all machines."""
        return {machine.address for machine in self._machines.values()}

    @property
    def config(self) -> Path:
        """The client's configuration: a host entry for each machine."""
        return self.directory / "ssh_config"

    @property
    def bin(self) -> Path:
        """The folder to put first on PATH."""
        return self.directory / "bin"

    def start(self) -> Self:
        """Start the machines and return when each answers that can be asked from here."""
        self.directory.mkdir(parents=True, exist_ok=True)
        links.remove_stale_routes()
        try:
            self._write_accounts()
            for name in self._names:
                self._start_machine(name)
            for name in self._names:
                if self._kinds[name].behind is None:
                    self.wait_until_ready(name)
            self._write_client_files()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_ready(self, name: str) -> None:
        """Return when a machine's sshd greets who calls."""
        try:
            # Not at every moment: each call costs a busy machine a process, and sshd refuses when ten are waiting.
            wait_until(lambda: self._greets(name), f"sshd on {name}", interval=0.1)
        except TimeoutError as error:
            error.add_note(self.log(name).read_text(errors="replace")[-2000:])
            address = self._machines[name].address
            for question in (["ip", "route", "get", address], ["ip", "-s", "neigh", "show", "to", address]):
                error.add_note(run(*question))
            raise

    def stop(self) -> None:
        """End the machines and all that runs on them. Stopping twice is harmless."""
        for machine in self._machines.values():
            machine.confined.kill()
            machine.sshd.reap()
            machine.cable.remove()
        self._machines.clear()

    def certify(self, name: str) -> None:
        """Before the start: give a machine a certificate of the authority's, which it also trusts for users."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_key(self.authority)
        self._make_key(self.host_key(name))
        folder = self._files(name)
        self.sign(self.host_key(name), "-h")
        shutil.copy(self.host_key(name).with_name(f"host_{name}-cert.pub"), folder / "host_key-cert.pub")
        shutil.copy(f"{self.authority}.pub", folder / "authority.pub")

    def sign(self, key: Path, *options: str) -> Path:
        """Have the authority sign a key; the certificate."""
        run("ssh-keygen", "-q", "-s", self.authority, "-I", key.name, *options, f"{key}.pub")
        return key.with_name(f"{key.name}-cert.pub")

    def log(self, name: str) -> Path:
        """What the machine's sshd says, log-ins included."""
        return self.directory / f"{name}.log"

    def client_bin(
        self,
        folder: Path,
        *,
        identity: Path | None = None,
        known_hosts: Path | None = None,
        settings: str = "",
    ) -> Path:
        """Make a folder for PATH as `bin` is, for a client with another key or other known hosts.

        Settings are those that come before all others, and so count more.
        """
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "ssh_config"
        config.write_text(
            f"{settings}\n" + self._config(identity or self.identity, known_hosts or self.known_hosts)
        )
        shim = folder / "ssh"
        shim.write_text(f'#!/bin/sh\nexec {self._openssh} -F {config} "$@"\n')
        shim.chmod(0o755)
        return folder

    def run(self, *argv: str, stdin: bytes = b"", timeout: float = 30) -> subprocess.CompletedProcess[bytes]:
        """Run ssh with these arguments to its end."""
        return subprocess.run(
            [self.bin / "ssh", *argv], input=stdin, capture_output=True, timeout=timeout, check=False
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _write_accounts(self) -> None:
        hosts = [self.host_key(name) for name in self._names]
        for key in (self.identity, self.stranger_identity, self.authority, *hosts):
            self._make_key(key)
        shutil.copy(f"{self.identity}.pub", self.directory / "authorized_keys")
        accounts = Path("/etc/passwd").read_text() + f"{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/bash\n"
        (self.directory / "passwd").write_text(accounts)
        (self.directory / "group").write_text(Path("/etc/group").read_text() + f"{USER}:x:{USER_ID}:\n")
        secret = run("openssl", "passwd", "-6", PASSWORD).strip()
        shadow = self.directory / "shadow"
        shadow.touch(0o600)
        shadow.write_text(f"root:*:19000::::::\nsshd:*:19000::::::\n{USER}:{secret}:19000:0:99999:7:::\n")

    def _start_machine(self, name: str) -> None:
        kind = self._kinds[name]
        has_opencode = self._opencode and kind.has_opencode
        (self.directory / f"{name}.conf").write_text(sshd_config(kind.settings))
        folder = self._files(name)
        for file, text in {**kind.files, **({"pam": kind.pam} if kind.pam else {})}.items():
            (folder / file).write_text(text)
            (folder / file).chmod(0o600)
        setup = setup_script(self.directory, name, _opencode() if has_opencode else None)
        # Programs of users outlive sshd, and so the machine does.
        confined = Confined(
            ["sleep", "infinity"], log=self.log(name), hostname=f"machine-{name}", setup=setup
        )
        try:
            near = self._machines[kind.behind].confined if kind.behind else None
            cable = links.connect(confined, near)
            sshd = Daemon(confined, kind.server, self.log(name))
            sshd.start()
        except BaseException:
            confined.kill()
            raise
        self._machines[name] = Machine(name, confined, cable, self.log(name), sshd)

    def _make_key(self, key: Path) -> None:
        if not key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", key)

    def _files(self, name: str) -> Path:
        folder = self.directory / f"{name}.files"
        folder.mkdir(exist_ok=True)
        return folder

    def _greets(self, name: str) -> bool:
        machine = self._machines[name]
        machine.sshd.check()
        try:
            with socket.create_connection((machine.address, 22), GREETING_SECONDS) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _write_client_files(self) -> None:
        for path, key in ((self.known_hosts, self.host_key), (self.changed_known_hosts, self._other_key)):
            lines = [f"{self[name].address} {_public(key(name))}\n" for name in self._names]
            path.write_text("".join(lines))
        self.config.write_text(self._config(self.identity, self.known_hosts))
        self.client_bin(self.bin)
        self.askpass.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
        self.askpass.chmod(0o700)

    def _config(self, identity: Path, known_hosts: Path) -> str:
        entries = ""
        for name in self._names:
            entries += f"Host {name}\n  HostName {self[name].address}\n"
            behind = self._kinds[name].behind
            entries += f"  ProxyJump {behind}\n" if behind else ""
        return entries + CLIENT_SETTINGS.format(user=USER, identity=identity, known_hosts=known_hosts)

    def host_key(self, name: str) -> Path:
        """The private key of a machine."""
        return self.directory / f"host_{name}"

    def _other_key(self, _name: str) -> Path:
        return self.stranger_identity


CLIENT_SETTINGS = """\
Host *
  User {user}
  IdentityFile {identity}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""


def _public(key: Path) -> str:
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def _opencode() -> str:
    try:
        return opencode_bin()
    except LookupError as reason:
        raise Unavailable(str(reason)) from None
