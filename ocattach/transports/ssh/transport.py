"""Hosts reached by ssh."""

import os
import threading
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Self, TypeVar

from ocattach.config.files.paths import config_directory
from ocattach.config.settings import load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError
from ocattach.execution import CommandResult, Stream
from ocattach.printable import command_line
from ocattach.programs import which
from ocattach.transports.base import Ask, Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.transports.foreground import ForegroundCommand
from ocattach.transports.ssh.command import foreground_line
from ocattach.transports.ssh.connection import SessionRefusedError, SSHConnection, retried
from ocattach.transports.ssh.openssh.connection import OpenSSHConnection
from ocattach.transports.ssh.openssh.settings import Settings, host_options, master_argv

SESSION_SECONDS = 2

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
        self._connections: dict[int, SSHConnection] = {}
        """The connection to the host, and a further one if the host runs no further command on the first."""
        self._needed = 0
        """The number of the connection to use: 1 once the host has refused a command on the first (MaxSessions)."""
        self._lent: SSHConnection | None = None
        """A connection that is another handler's."""
        self._opening = threading.Lock()

    @property
    def place(self) -> str:
        return f"host {self._target.host}"

    @property
    def connection(self) -> SSHConnection:
        """The connection to the host, opened on first use and again once it is lost."""
        return self._connected(0)

    def _connected(self, number: int) -> SSHConnection:
        with self._opening:
            connection = self._connections.get(number)
            if connection is None or not connection.is_open:
                self._leave(number)
                connection = self._connections[number] = self._connection_class(
                    self._target,
                    ask=self.ask,
                    timeout=self.timeout,
                    remembers=self.remembers,
                    checks_host_key=self.checks_host_key,
                    login=None if number else self.login,
                )
            return connection

    @property
    def _connection_class(self) -> type[SSHConnection]:
        if uses_openssh():
            return OpenSSHConnection
        from ocattach.transports.ssh.paramiko.connection import ParamikoConnection  # noqa: PLC0415 - an SDK

        return ParamikoConnection

    def _leave(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None and connection is not self._lent:
            connection.close()

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

    def connection_key(self) -> str:
        return self._connection_class.key(self._target)

    def open_connection(self) -> None:
        _ = self.connection

    def share(self, other: Self) -> None:
        self._connections[0] = self._lent = other.connection

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
        connection = self._connections.get(0)
        return connection.shared_login() if connection is not None else None

    def _on_host(self, start: Callable[[SSHConnection], T]) -> T:
        """Run a command, over a second connection if the host runs no further one on the first."""

        def soon(connection: SSHConnection) -> T:
            # sshd counts a session until it has cleaned up, a moment after the command has ended for us.
            return retried(lambda: start(connection), SessionRefusedError, repeat(0.05), SESSION_SECONDS)

        if not self._needed:
            try:
                return soon(self.connection)
            except SessionRefusedError:
                self._needed = 1
        return soon(self._connected(1))

    def disconnect(self) -> None:
        if self.early_relay.is_starting:
            self._leave(0)  # which ends a preparation, too
        super().disconnect()
        self._leave(1)
        self._leave(0)
        self._needed = 0


def uses_openssh() -> bool:
    """Whether OpenSSH is run, rather than paramiko: where there is an `ssh` program, unless the settings choose.

    Raises ConfigurationError if the settings require an OpenSSH that does not exist.
    """
    chosen = load_settings(config_directory(os.environ)).ssh_client
    has_program = which("ssh") is not None
    if chosen == "openssh" and not has_program:
        raise ConfigurationError(
            "There is no ssh program on this machine, and ssh_client is openssh",
            hint="Install OpenSSH's client, or set ssh_client: auto",
        )
    return has_program if chosen == "auto" else chosen == "openssh"
