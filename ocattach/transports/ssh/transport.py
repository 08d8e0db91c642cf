"""Hosts reached by ssh."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

from ocattach.config.files.paths import config_directory
from ocattach.config.settings import load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError
from ocattach.execution import CommandResult, Stream
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.transports.foreground import ForegroundCommand
from ocattach.transports.ssh.command import foreground_line
from ocattach.transports.ssh.connection import SessionRefusedError, SSHConnection
from ocattach.transports.ssh.openssh.connection import OpenSSHConnection
from ocattach.transports.ssh.openssh.settings import Settings, host_options, master_argv, read_settings

SESSION_SECONDS = 2
SESSION_PAUSE = 0.05

T = TypeVar("T")


class SSHTransport(CommandTransport):
    """A host. Its daemon's port is reached by the relay, as in containers."""

    scheme = "ssh"
    preposition = "on"
    logs_in = True

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, SSHTarget):
            raise TypeError(spec.target)
        self._target = spec.target
        self._connection: SSHConnection | None = None
        self._second: SSHConnection | None = None
        self._opening = threading.Lock()
        self._is_full = False
        """Whether the host has refused a second command on the first connection."""
        self._is_guest = False
        """Whether the connection is another handler's."""

    @property
    def place(self) -> str:
        return f"host {self._target.host}"

    @property
    def connection(self) -> SSHConnection:
        """The connection to the host, opened on first use and again once it is lost."""
        with self._opening:
            if self._connection is not None and not self._connection.is_open:
                self._leave_connection()
            if self._connection is None:
                self._connection = self._open()
            return self._connection

    @property
    def second_connection(self) -> SSHConnection:
        """A further connection, for a host that runs no further command on the first one (MaxSessions)."""
        with self._opening:
            if self._second is None or not self._second.is_open:
                self.login = None
                self._second = self._open()
            return self._second

    def _open(self) -> SSHConnection:
        if uses_openssh():
            return OpenSSHConnection(
                self._target,
                ask=self.ask,
                timeout=self.timeout,
                remembers=self.remembers,
                checks_host_key=self.checks_host_key,
                login=self.login,
            )
        from ocattach.transports.ssh.paramiko.connection import ParamikoConnection  # noqa: PLC0415 - an SDK

        return ParamikoConnection(self._target, ask=self.ask, timeout=self.timeout, remembers=self.remembers)

    def plan(self) -> Plan:
        host = f"the ssh server of {self._target.host}"
        if not uses_openssh():
            return Plan(f"{host}, by paramiko", routes=("relay",))
        # Without the user's configuration, for which ssh would run the commands of `Match exec`.
        login = master_argv(self._target, Settings({}, ""), "CONTROL_PATH", attended=True)
        return Plan(
            f"{host}, logged in to by: {command_line(*login)}",
            command=("ssh", *host_options(self._target), self._target.host, "--"),
            routes=("relay",),
        )

    def _leave_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not self._is_guest:
            connection.close()
        self._is_guest = False

    def connection_key(self) -> str:
        # The same host under two names has the same key.
        if uses_openssh():
            return f"{self.scheme}\n{read_settings(self._target).text}"
        from ocattach.transports.ssh.paramiko.connection import connection_key  # noqa: PLC0415 - an SDK

        return connection_key(self._target)

    def open_connection(self) -> None:
        _ = self.connection

    def share(self, other: Self) -> None:
        self._connection, self._is_guest = other.connection, True

    def check_available(self) -> Availability:
        connection = self.connection
        return Availability(f"Logged in to {connection.hostname} as {connection.user}")

    def prepare_tunnel(self) -> None:
        self.early_relay.start(self.connection.open_stream, self.settings)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        return self._on_host(lambda connection: connection.run(argv, stdin=stdin, timeout=timeout))

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return self._on_host(lambda connection: connection.open_stream(argv))

    def open_foreground(self, argv: Sequence[str], *, size: os.terminal_size | None) -> ForegroundCommand:
        line = foreground_line(argv)
        return self._on_host(lambda connection: connection.open_foreground(line, size=size))

    def shared_login(self) -> str | None:
        connection = self._connection
        return connection.shared_login() if connection is not None else None

    def _on_host(self, start: Callable[[SSHConnection], T]) -> T:
        """Run a command, over a second connection if the host runs no further one on the first."""
        if not self._is_full:
            try:
                return start_soon(self.connection, start)
            except SessionRefusedError:
                self._is_full = True
        return start_soon(self.second_connection, start)

    def disconnect(self) -> None:
        if self.early_relay.is_starting:
            self._leave_connection()  # which ends a preparation, too
        super().disconnect()
        second, self._second = self._second, None
        if second is not None:
            second.close()
        self._leave_connection()
        self._is_full = False


def start_soon(connection: SSHConnection, start: Callable[[SSHConnection], T]) -> T:
    """Start a command; try again for a moment if the host refuses it.

    sshd counts a session until it has cleaned up, a moment after the command has ended for us (MaxSessions).
    """
    deadline = time.monotonic() + SESSION_SECONDS
    while True:
        try:
            return start(connection)
        except SessionRefusedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(SESSION_PAUSE)


def uses_openssh() -> bool:
    """Whether OpenSSH is run, rather than paramiko: where there is an `ssh` program, unless the settings choose.

    Raises ConfigurationError if the settings require an OpenSSH that does not exist.
    """
    chosen = load_settings(config_directory(os.environ)).ssh_client
    has_program = any(os.access(os.path.join(folder, "ssh"), os.X_OK) for folder in os.get_exec_path())  # noqa: PTH118
    if chosen == "openssh" and not has_program:
        raise ConfigurationError(
            "There is no ssh program on this machine, and ssh_client is openssh",
            hint="Install OpenSSH's client, or set ssh_client: auto",
        )
    return has_program if chosen == "auto" else chosen == "openssh"
