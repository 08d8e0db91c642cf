"""Hosts reached by ssh."""

import shlex
import socket
import string
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.execution import CommandResult, Stream
from ocattach.transports.base import Ask, Availability
from ocattach.transports.command import CommandTransport
from ocattach.transports.pump import CHUNK, Pump
from ocattach.transports.ssh_connection import ForwardingProhibitedError, SSHConnection

if TYPE_CHECKING:
    from paramiko import Channel

    from ocattach.tunnel.route import Route
    from ocattach.tunnel.tunnel import Tunnel

START_OF_OUTPUT = b"ocattach:output\n"
"""Printed before a command runs: what stands before it came from the login shell's start-up files."""

PLAIN = set(f"{string.ascii_letters}{string.digits} ./:=_-,@+")
SIGNALLED = 255
DIAGNOSIS = 4096
DIAL_SECONDS = 10


def shell_command(argv: Sequence[str]) -> str:
    """The argv as one command line that any login shell hands on unharmed, fish and csh too.

    Only sh sees the real text: the outer shell sees letters, digits and octal escapes in single quotes.
    """
    script = f"printf %s\\\\n {START_OF_OUTPUT.decode().strip()}; exec {shlex.join(argv)}"
    hidden = "".join(
        character
        if character in PLAIN
        else "".join(f"\\0{byte:03o}" for byte in character.encode(errors="surrogateescape"))
        for character in script
    )
    return f"""exec sh -c 'eval "$(printf %b "$1")"' sh '{hidden}'"""


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

    @property
    def place(self) -> str:
        return f"host {self._target.host}"

    @property
    def connection(self) -> SSHConnection:
        """The connection to the host, opened and authenticated on first use and again once it is lost."""
        if self._connection is not None and not self._connection.transport.is_active():
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = SSHConnection(self._target, ask=self.ask, timeout=self.timeout)
        return self._connection

    def check_available(self) -> Availability:
        config = self.connection.config
        return Availability(f"Logged in to {config.hostname} as {config.user}")

    def open_command(self, argv: Sequence[str]) -> "Channel":
        """A channel on which the command runs."""
        return self.connection.open_command(shell_command(argv), timeout=DIAL_SECONDS)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        channel = self.open_command(argv)
        with channel:
            return CommandExchange(channel, stdin, timeout).result(self.place)

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return ChannelStream(self.open_command(argv))

    def dial(self, port: int) -> Stream:
        """A connection to a port on the host's loopback; several threads may dial at once.

        Raises ConnectionLostError when the whole connection is gone, UnreachableError when nothing listens there.
        """
        connection = self._connection
        if connection is None:
            raise ConnectionLostError(f"The ssh connection to {self.place} is closed")
        return ChannelStream(connection.forward(self.daemon_host(port), port, timeout=DIAL_SECONDS))

    def connect(self, remote_port: int) -> "Tunnel":
        self.check_available()
        try:
            self.dial(remote_port).close()
        except ForwardingProhibitedError:
            return super().connect(remote_port)
        return self.tunnel(remote_port, self.direct_routes())

    def direct_routes(self) -> Iterator[Callable[[], "Route"]]:
        """Ports opened by the ssh server itself."""
        from ocattach.tunnel.route import DialRoute  # noqa: PLC0415 - see `import_tunnel`

        yield lambda: DialRoute("ssh", self.dial)

    def disconnect(self) -> None:
        super().disconnect()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class CommandExchange:
    """A command's input, output and errors, each carried by its own thread: none can block another.

    One channel window serves stdout and stderr together (RFC 4254): who reads only one of them may wait for ever.
    """

    def __init__(self, channel: "Channel", stdin: bytes, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._stdin = stdin
        self._stdout, self._stderr = bytearray(), bytearray()
        self._threads = [
            threading.Thread(target=self._feed, name="ocattach-ssh-stdin", daemon=True),
            threading.Thread(
                target=self._collect,
                args=(channel.recv, self._stdout),
                name="ocattach-ssh-stdout",
                daemon=True,
            ),
            threading.Thread(
                target=self._collect,
                args=(channel.recv_stderr, self._stderr),
                name="ocattach-ssh-stderr",
                daemon=True,
            ),
        ]

    def _feed(self) -> None:
        try:
            self._channel.sendall(self._stdin)
            self._channel.shutdown_write()
        except (OSError, EOFError):
            return

    def _collect(self, receive: Callable[[int], bytes], output: bytearray) -> None:
        try:
            while data := receive(CHUNK):
                output += data
        except (OSError, EOFError):
            return

    def result(self, place: str) -> CommandResult:
        """The outcome. Raises TimedOutError, and ends the command's channel, when it takes too long."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads[1:]:
            thread.join(max(0, self._deadline - time.monotonic()))
        ended = not any(thread.is_alive() for thread in self._threads[1:])
        ended = ended and self._channel.status_event.wait(max(0.1, self._deadline - time.monotonic()))
        self._channel.close()
        for thread in self._threads:
            thread.join()
        if not ended:
            raise TimedOutError(f"A command on {place} did not end within {self._timeout:.0f} s")
        code = self._channel.exit_status
        if code < 0 and not self._stdout:
            raise ConnectionLostError(f"The ssh connection to {place} ended while a command ran")
        _, _, stdout = bytes(self._stdout).partition(START_OF_OUTPUT)
        return CommandResult(code if code >= 0 else SIGNALLED, stdout, bytes(self._stderr))


class ChannelStream(Stream):
    """An ssh channel, made a socket by a pump."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel
        self._stderr = bytearray()
        self._pump = Pump(
            receive=self._receive,
            send=channel.sendall,
            end_input=channel.shutdown_write,
            hang_up=channel.close,
        )

    def _receive(self) -> bytes:
        data = self._channel.recv(CHUNK)
        while self._channel.recv_stderr_ready():
            self._stderr += self._channel.recv_stderr(CHUNK)
            del self._stderr[:-DIAGNOSIS]
        return data

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket

    def diagnosis(self) -> str:
        return self._stderr.decode(errors="replace").strip()

    def close(self) -> None:
        self._pump.close()
