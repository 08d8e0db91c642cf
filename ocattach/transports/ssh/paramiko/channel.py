"""Commands on an ssh host, on channels of a paramiko connection."""

import select
import socket
from contextlib import suppress
from threading import Thread

import paramiko

from ocattach.transports.containers.exec_stream import STDERR, STDOUT, frame
from ocattach.transports.pump import CHUNK, Pump
from ocattach.transports.ssh.command import SIGNALLED
from ocattach.transports.ssh.connection import END_SECONDS, HostCommand

LOST = (OSError, EOFError, paramiko.SSHException)
"""What paramiko raises when a channel or its connection has ended."""


class ChannelCommand(HostCommand):
    """A command line on a channel.

    Stderr is always read: it shares a window with stdout (RFC 4254, 5.2), which it would block otherwise.
    """

    def __init__(self, channel: paramiko.Channel, line: str, *, keeps_all: bool, has_input: bool) -> None:
        """Start the command. Raises one of `LOST`."""
        super().__init__(keeps_all=keeps_all)
        self._channel = channel
        channel.exec_command(line)
        self._pump = Pump(
            receive=self._receive,
            send=channel.sendall,
            # Not without need: paramiko (5.1, `Channel.shutdown`) may send it after the channel's end, and sshd ends a
            # connection, with everything on it, for a message to a channel that no longer exists.
            end_input=channel.shutdown_write if has_input else lambda: None,
            hang_up=channel.close,
        )
        self._reader = Thread(target=self._read_stderr, name="ocattach-ssh-stderr", daemon=True)
        self._reader.start()

    def _receive(self) -> bytes:
        return self._channel.recv(CHUNK)

    def _read_stderr(self) -> None:
        with suppress(*LOST):
            while data := self._channel.recv_stderr(CHUNK):
                self.take_stderr(data)

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket

    def wait(self, timeout: float) -> int:
        self._reader.join(timeout)
        if self._reader.is_alive() or not self._channel.status_event.wait(timeout):
            raise TimeoutError
        code = self._channel.recv_exit_status()
        # paramiko (5.1) drops the signal that ended a command. A lost connection sends no end of output.
        return SIGNALLED if code < 0 and self.is_whole() else code

    def is_whole(self) -> bool:
        return bool(self._channel.eof_received)

    def diagnosis(self) -> str:
        if self.is_whole():
            # The end is reported for stdout and stderr at once (RFC 4254, 5.3): the rest is about to be read.
            self._reader.join(END_SECONDS)
        return super().diagnosis()

    def close(self) -> None:
        self._pump.close()
        self._reader.join(END_SECONDS)


class FramedCommand(ChannelCommand):
    """A command in the foreground. Its socket has both outputs, framed as by Docker."""

    def _receive(self) -> bytes:
        """Return the next frame; b"" at the end."""
        channel = self._channel
        while True:
            # The end is received after all output (RFC 4254, 5.3).
            has_ended = channel.eof_received or channel.closed
            if channel.recv_stderr_ready():
                return frame(STDERR, channel.recv_stderr(CHUNK))
            if channel.recv_ready():
                return frame(STDOUT, channel.recv(CHUNK))
            if has_ended:
                return b""
            select.select([channel], [], [])

    def _read_stderr(self) -> None:
        """Leave it to `_receive`."""
