"""A command on an ssh host, on a channel of the connection."""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread, Timer

import paramiko

from ocattach.errors import TooMuchOutputError
from ocattach.execution import MAX_OUTPUT, CommandResult, Stream, on_error
from ocattach.transports.pump import CHUNK, Pump
from ocattach.transports.ssh.command import DIAGNOSIS, LOADER, SIGNALLED, CommandOutput

LOST = (OSError, EOFError, paramiko.SSHException)
"""What paramiko raises when a channel or its connection has ended."""

JOIN_SECONDS = 5


class Command:
    """A command that runs on a channel until a deadline, at which the channel is closed.

    A thread reads its stderr: that shares a window with stdout (RFC 4254, 5.2), which it would block otherwise.
    """

    kept = MAX_OUTPUT + 1
    """The last bytes of stderr that are kept."""

    def __init__(
        self, channel: paramiko.Channel, script: bytes, stdin: bytes, *, place: str, timeout: float
    ) -> None:
        """Start a command by the input of LOADER. Raises one of `LOST`."""
        self.channel = channel
        self.output = CommandOutput(place)
        self._timeout = timeout
        self._is_late = False
        self._threads = [
            Thread(target=self._read_stderr, name="ocattach-ssh-stderr", daemon=True),
            Thread(target=self._feed, args=(script, stdin), name="ocattach-ssh-stdin", daemon=True),
        ]
        self._deadline = Timer(timeout, self._expire)
        self._deadline.daemon = True
        self._deadline.start()
        with on_error(partial(Command.close, self)):
            channel.exec_command(LOADER)
            for thread in self._threads:
                thread.start()

    def _expire(self) -> None:
        self._is_late = True
        self.hang_up()

    def _read_stderr(self) -> None:
        with suppress(*LOST):
            try:
                while data := self.channel.recv_stderr(CHUNK):
                    self.output.take_stderr(data)
                    del self.output.stderr[: -self.kept]
            except TooMuchOutputError:
                self.hang_up()

    def _feed(self, script: bytes, stdin: bytes) -> None:
        with suppress(*LOST):
            self.channel.sendall(script + stdin)
            # Not without need: paramiko (5.1, `Channel.shutdown`) may send it after the channel's end, and sshd ends a
            # connection, with everything on it, for a message to a channel that no longer exists.
            if stdin:
                self.channel.shutdown_write()

    def read_until(self, is_enough: Callable[[], bool]) -> None:
        """Read stdout until it is enough, its end, or the deadline. Raises TooMuchOutputError."""
        with suppress(*LOST):
            while not is_enough() and (data := self.channel.recv(CHUNK)):
                self.output.take_stdout(data)

    def result(self) -> CommandResult:
        """Read stdout to its end and return the result. Raises as `SSHConnection.run` does."""
        self.read_until(lambda: False)
        code = self.channel.recv_exit_status()
        self.join()
        self.output.check()
        if self._is_late:
            raise self.output.timed_out(self._timeout)
        # paramiko (5.1) drops the signal that ended a command. A lost connection sends no end of output.
        return self.output.result(SIGNALLED if code < 0 and self.channel.eof_received else code)

    def hang_up(self) -> None:
        """Close the channel."""
        with suppress(*LOST):
            self.channel.close()

    def join(self) -> None:
        """Wait for the end of stdin and stderr."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(JOIN_SECONDS)

    def close(self) -> None:
        """Close the channel, which ends the threads."""
        self._deadline.cancel()
        self.hang_up()
        self.join()


class CommandStream(Command, Stream):
    """A command whose stdin and stdout are a socket, without a deadline once the login shell runs it."""

    kept = DIAGNOSIS

    def __init__(
        self, channel: paramiko.Channel, script: bytes, stdin: bytes, *, place: str, timeout: float
    ) -> None:
        """Return when the login shell runs the command. Raises as `SSHConnection.open_stream` does."""
        super().__init__(channel, script, stdin, place=place, timeout=timeout)
        with on_error(super().close):
            self.read_until(lambda: self.output.stdout.begun)
            if not self.output.stdout.begun:
                self.result()
        self._deadline.cancel()
        self._pump = Pump(
            receive=lambda: channel.recv(CHUNK),
            send=channel.sendall,
            end_input=channel.shutdown_write,
            hang_up=self.hang_up,
            early=bytes(self.output.stdout.content),
        )

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket

    def is_whole(self) -> bool:
        return bool(self.channel.eof_received)

    def diagnosis(self) -> str:
        if self.channel.eof_received:
            # The end is reported for stdout and stderr at once (RFC 4254, 5.3): the rest of stderr is about to be read.
            self.join()
        return self.output.stderr.decode(errors="replace").strip()

    def close(self) -> None:
        self._pump.close()
        super().close()
