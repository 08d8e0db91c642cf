"""Commands of an ssh host in the foreground, on a channel of the connection."""

import os
import select
import socket
from contextlib import suppress

import paramiko

from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream, on_error
from ocattach.transports.containers.exec_stream import STDERR, STDOUT, frame, split_frames
from ocattach.transports.foreground import AttachedCommand
from ocattach.transports.pump import CHUNK, Pump
from ocattach.transports.ssh.command import SIGNALLED
from ocattach.transports.ssh.paramiko.command import LOST


def attached(
    channel: paramiko.Channel, line: str, size: os.terminal_size | None, place: str
) -> AttachedCommand:
    """Start a command line, on a terminal if there is a size. Raises one of `LOST`."""
    with on_error(channel.close):
        if size is not None:
            channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
        channel.exec_command(line)

    def resize(new: os.terminal_size) -> None:
        with suppress(*LOST):
            channel.resize_pty(new.columns, new.lines)

    def exit_code() -> int:
        if not channel.eof_received:
            raise ConnectionLostError(f"The ssh connection to {place} ended while a command ran")
        code = channel.recv_exit_status()
        return code if code >= 0 else SIGNALLED

    return AttachedCommand(FramedStream(channel), split_frames(), resize, exit_code)


class FramedStream(Stream):
    """A channel as a socket, on which the output is framed as by Docker, to tell stderr from stdout."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._pump = Pump(
            receive=self._receive,
            send=channel.sendall,
            end_input=channel.shutdown_write,
            hang_up=channel.close,
        )

    def _receive(self) -> bytes:
        """Return the next frame; b"" at the end."""
        while True:
            # The end is received after all output (RFC 4254, 5.3).
            has_ended = self._channel.eof_received or self._channel.closed
            if self._channel.recv_stderr_ready():
                return frame(STDERR, self._channel.recv_stderr(CHUNK))
            if self._channel.recv_ready():
                return frame(STDOUT, self._channel.recv(CHUNK))
            if has_ended:
                return b""
            select.select([self._channel], [], [])

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket

    def close(self) -> None:
        self._pump.close()
