"""Commands on an ssh host: handed to any login shell, and kept apart from what that shell says itself."""

import shlex
import socket
import string
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError
from ocattach.execution import MAX_OUTPUT, CommandResult, Stream, check_output
from ocattach.transports.pump import CHUNK, Pump

if TYPE_CHECKING:
    from paramiko import Channel

START_OF_OUTPUT = b"ocattach:output\n"
"""Printed before a command runs: what stands before it came from the login shell's start-up files."""

NO_INPUT = " </dev/null"
"""Ends the input of a command without a message on its channel.

paramiko (5.1, `Channel.shutdown`) may send that message after it has confirmed the end of a command that is already
over, and sshd ends the connection, with everything on it, for a message to a channel that it no longer has.
"""

PLAIN = set(f"{string.ascii_letters}{string.digits} ./:=_-,@+")
SIGNALLED = 255
DIAGNOSIS = 4096
SHOWN = 500
"""Bytes of a login shell's own words that an error shows."""

JOIN_SECONDS = 5


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


class Output:
    """What a command prints, without what its login shell printed before; no more is kept than somebody can want."""

    def __init__(self, *, marked: bool) -> None:
        self.content = bytearray()
        self.before = bytearray()
        """The end of what came before the mark."""
        self.begun = not marked

    def feed(self, data: bytes) -> None:
        """Take what came. Raises EOFError when it is more than can be kept."""
        if not self.begun:
            self.before += data
            before, mark, after = self.before.partition(START_OF_OUTPUT)
            self.begun = bool(mark)
            self.before = before[-DIAGNOSIS:]
            data = bytes(after)
        self.content += data
        if len(self.content) > MAX_OUTPUT:
            raise EOFError

    def collect(self, receive: Callable[[int], bytes], hang_up: Callable[[], None]) -> None:
        """Take everything until the end, or hang up when it is too much."""
        try:
            while data := receive(CHUNK):
                self.feed(data)
        except (OSError, EOFError):
            hang_up()


class CommandExchange:
    """A command's input, output and errors, each carried by its own thread: none can block another.

    One channel window serves stdout and stderr together (RFC 4254): who reads only one of them may wait for ever.
    """

    def __init__(self, channel: "Channel", stdin: bytes, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._stdin = stdin
        self._stdout, self._stderr = Output(marked=True), Output(marked=False)
        self._feeder = threading.Thread(target=self._feed, name="ocattach-ssh-stdin", daemon=True)
        self._collectors = [
            threading.Thread(
                target=output.collect,
                args=(receive, channel.close),
                name=f"ocattach-ssh-{name}",
                daemon=True,
            )
            for name, output, receive in (
                ("stdout", self._stdout, channel.recv),
                ("stderr", self._stderr, channel.recv_stderr),
            )
        ]

    def _feed(self) -> None:
        if not self._stdin:
            return
        try:
            self._channel.sendall(self._stdin)
            self._channel.shutdown_write()
        except (OSError, EOFError):
            return

    def result(self, place: str) -> CommandResult:
        """The outcome; the command's channel is ended. Raises TimedOutError, or TooMuchOutputError."""
        threads = [self._feeder, *self._collectors]
        for thread in threads:
            thread.start()
        for thread in self._collectors:
            thread.join(self._left)
        ended = not any(thread.is_alive() for thread in self._collectors)
        ended = ended and self._channel.status_event.wait(max(0.1, self._left))
        self._channel.close()
        for thread in threads:
            thread.join()
        check_output(len(self._stdout.content) + len(self._stderr.content), place)
        if not ended:
            raise TimedOutError(
                f"A command on {place} did not end within {self._timeout:.0f} s{self._said_instead}"
            )
        return self._judged(self._channel.exit_status, place)

    @property
    def _left(self) -> float:
        return max(0, self._deadline - time.monotonic())

    @property
    def _said_instead(self) -> str:
        """For an error: what the login shell printed in the place of running the command."""
        if self._stdout.begun:
            return ""
        said = (self._stdout.before + self._stderr.content)[-SHOWN:].decode(errors="replace").strip()
        return f"; its login shell did not get as far as the command, and said: {said or 'nothing'}"

    def _judged(self, code: int, place: str) -> CommandResult:
        if code < 0 and not self._stdout.content:
            raise ConnectionLostError(
                f"The ssh connection to {place} ended while a command ran{self._said_instead}"
            )
        if not self._stdout.begun:
            raise OcattachError(
                f"A command could not be run on {place}{self._said_instead}",
                hint="Try: ssh HOST echo works. What its start-up files do for people, they may not do for commands",
            )
        return CommandResult(
            code if code >= 0 else SIGNALLED, bytes(self._stdout.content), bytes(self._stderr.content)
        )


class ChannelStream(Stream):
    """An ssh channel, made a socket by a pump: that of a command, or of a port."""

    def __init__(self, channel: "Channel", *, is_command: bool = False) -> None:
        self._channel = channel
        self._stderr = bytearray()
        self._stdout = Output(marked=is_command)
        self._pump = Pump(
            receive=self._receive,
            send=channel.sendall,
            end_input=channel.shutdown_write,
            hang_up=channel.close,
        )
        # Errors that nobody reads would fill the window that they share with the output.
        self._listener = threading.Thread(target=self._listen, name="ocattach-ssh-stderr", daemon=True)
        if is_command:
            self._listener.start()

    def _receive(self) -> bytes:
        data = self._channel.recv(CHUNK)
        while data and not self._stdout.begun:
            self._stdout.feed(data)
            data = bytes(self._stdout.content) or self._channel.recv(CHUNK)
        return data

    def _listen(self) -> None:
        try:
            while data := self._channel.recv_stderr(CHUNK):
                self._stderr += data
                del self._stderr[:-DIAGNOSIS]
        except (OSError, EOFError):
            return

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket

    def is_whole(self) -> bool:
        return bool(self._channel.eof_received)

    def diagnosis(self) -> str:
        if self._channel.eof_received and self._listener.is_alive():
            # The end is said of both at once (RFC 4254, 5.3): what was said before it is about to be read.
            self._listener.join(JOIN_SECONDS)
        instead = b"" if self._stdout.begun else bytes(self._stdout.before)
        return (instead + self._stderr).decode(errors="replace").strip()

    def close(self) -> None:
        self._pump.close()
        if self._listener.is_alive():
            self._listener.join(JOIN_SECONDS)
