"""Hosts reached by ssh."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.ssh import SSHTarget
from ocattach.daemon.port_owner import PortOwnerCheck
from ocattach.errors import ConnectionLostError, OcattachError, PortClosedError
from ocattach.execution import CommandResult, Stream
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.transports.ssh.command import NO_INPUT, ChannelStream, CommandExchange, shell_command
from ocattach.transports.ssh.config import way_to
from ocattach.transports.ssh.connection import (
    ForwardingProhibitedError,
    SessionRefusedError,
    SSHConnection,
)
from ocattach.tunnel.route import DialRoute, Route

if TYPE_CHECKING:
    from paramiko import Channel

DIAL_SECONDS = 10

FORWARD_SECONDS = 120
"""How long a host may take to open a connection to a port.

Its answer waits behind what all other streams of the connection have been sent: 200 of them with a full window are
minutes on a slow line. A connection that is dead is found out by its silence, long before.
"""
SESSION_SECONDS = 2
SESSION_PAUSE = 0.02


class SSHTransport(CommandTransport):
    """A host; its daemon's port is reached by direct-tcpip, or by the relay where forwarding is refused."""

    scheme = "ssh"
    reaches_ports = True

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, SSHTarget):
            raise TypeError(spec.target)
        self._target = spec.target
        self._connection: SSHConnection | None = None
        self._second: SSHConnection | None = None
        self._owner: PortOwnerCheck | None = None
        self._is_full = False
        self._has_relay = False
        self._is_guest = False
        """Whether the connection is another handler's."""

    @property
    def place(self) -> str:
        return f"host {self._target.host}"

    @property
    def connection(self) -> SSHConnection:
        """The connection to the host, opened and authenticated on first use and again once it is lost."""
        if self._connection is not None and not self._connection.transport.is_active():
            self._leave_connection()
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> SSHConnection:
        return SSHConnection(self._target, ask=self.ask, timeout=self.timeout, remembers=self.remembers)

    def plan(self) -> Plan:
        target = self._target
        options = {"-p": target.port, "-i": target.identity_file, "-J": target.jump, "-l": target.user}
        given = [word for option, value in options.items() if value for word in (option, str(value))]
        return Plan(
            f"the ssh server of {target.host}, as your ssh configuration has it "
            f"(see: {command_line('ssh', '-G', target.host)})",
            command=("ssh", *given, target.host, "--"),
            routes=(
                "ssh: the server opens the port (direct-tcpip)",
                "relay, where it forwards no ports",
            ),
        )

    def _leave_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not self._is_guest:
            connection.close()
        self._is_guest = False

    def connection_key(self) -> str:
        # Under which name the user knows a host makes no other host of it.
        return repr((self.scheme, *(replace(hop, alias="") for hop in way_to(self._target))))

    def open_connection(self) -> None:
        _ = self.connection

    def share(self, other: Self) -> None:
        self._connection, self._is_guest = other.connection, True

    def check_available(self) -> Availability:
        config = self.connection.config
        return Availability(f"Logged in to {config.hostname} as {config.user}")

    def open_command(self, argv: Sequence[str], *, has_input: bool = True) -> "Channel":
        """A channel on which the command runs."""
        command = shell_command(argv) + ("" if has_input else NO_INPUT)
        connection = self.connection
        if not self._is_full:
            try:
                return open_soon(connection, command)
            except SessionRefusedError:
                if self._owner is not None and self._owner.close():  # it is started again when it is needed
                    return open_soon(connection, command)
                if not self._has_relay:
                    raise
                self._is_full = True
        # The relay has the only session that the host allows on one connection (MaxSessions 1).
        if self._second is None or not self._second.transport.is_active():
            self._second = self._open()
        return open_soon(self._second, command)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        channel = self.open_command(argv, has_input=bool(stdin))
        with channel:
            return CommandExchange(channel, stdin, timeout).result(self.place)

    def open_stream(self, argv: Sequence[str]) -> Stream:
        stream = ChannelStream(self.open_command(argv), is_command=True)
        self._has_relay = True
        return stream

    def dial(self, port: int) -> Stream:
        """Open a connection to a port on the host's loopback, on which this account listens. Threads may dial at once.

        Raises ConnectionLostError when the whole connection is gone, PortClosedError when nothing or another account
        listens there, TimedOutError when the host does not answer.
        """
        connection = self._connection
        if connection is None:
            raise ConnectionLostError(f"The ssh connection to {self.place} is closed")
        host = self.daemon_host(port)
        channel = connection.forward(host, port, timeout=FORWARD_SECONDS)
        try:
            is_ours = self._is_ours(host, port)
        except BaseException as error:
            channel.close()
            if isinstance(error, OcattachError) and not connection.transport.is_active():
                raise ConnectionLostError(f"The ssh connection to {self.place} is gone: {error}") from error
            raise
        if is_ours is False:
            channel.close()
            raise PortClosedError(f"Port {port} of {self._target.host} belongs to another account now")
        return ChannelStream(channel)

    def _is_ours(self, host: str, port: int) -> bool | None:
        """Whether this account listens there; None where that cannot be seen, or the host runs no further command."""
        if self._owner is None:
            return None
        try:
            return self._owner.is_ours(host, port)
        except SessionRefusedError:
            return None

    def routes(self, port: int) -> Iterator[Callable[[], Route]]:
        """Ports opened by the ssh server itself, where it does that; else a relay."""
        connection = self.connection
        self._end_owner_check()
        self._owner = PortOwnerCheck(
            lambda argv: ChannelStream(open_soon(connection, shell_command(argv)), is_command=True),
            timeout=FORWARD_SECONDS,
        )
        try:
            self.dial(port).close()
        except ForwardingProhibitedError:
            yield from super().routes(port)
            return
        yield lambda: DialRoute(
            "ssh", self.dial, await_end=connection.await_end, ping=connection.await_answer
        )

    def _end_owner_check(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.close()

    def disconnect(self) -> None:
        super().disconnect()
        self._end_owner_check()
        if self._second is not None:
            self._second.close()
            self._second = None
        self._leave_connection()
        self._is_full = self._has_relay = False


def open_soon(connection: SSHConnection, command: str) -> "Channel":
    """Run a command, at the latest when the host has done with the one before.

    sshd counts a session until it has tidied up, a moment after the command has ended for us (MaxSessions 1).
    """
    deadline = time.monotonic() + SESSION_SECONDS
    while True:
        try:
            return connection.open_command(command, timeout=DIAL_SECONDS)
        except SessionRefusedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(SESSION_PAUSE)
