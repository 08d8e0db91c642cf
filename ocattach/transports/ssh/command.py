"""Commands for any login shell on an ssh host, and their output without what that shell prints itself."""

import socket
from collections.abc import Sequence

from ocattach.backoff import Deadline
from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError
from ocattach.execution import CommandResult, check_output
from ocattach.transports import loader

START_OF_OUTPUT = b"ocattach:output\n"
"""Printed before a command runs. Everything before it comes from the login shell's start-up files."""

SIGNALLED = 255
DIAGNOSIS = 4096
SHOWN = 500
"""Bytes of a login shell's own output that an error shows."""


LOADER = f"exec sh -c '{loader.SCRIPT}'"
"""The command line that runs `loader_input`. Any login shell passes it on unchanged, including fish and csh."""


FOREGROUND = 'trap : INT QUIT; sh -c "$(printf %b "$1")"; exit $?'
"""Runs hidden shell text. Its own shell stays, for the exit code of a command that a signal ends."""


def foreground_line(argv: Sequence[str]) -> str:
    """Return the command line that runs `sh -c TEXT` with all input. As LOADER, it suits any login shell."""
    return f"exec sh -c '{FOREGROUND}' ocattach '{loader.hidden(argv[-1])}'"


def loader_input(argv: Sequence[str], *, has_more: bool = True) -> bytes:
    """Return the first line of LOADER's input: it prints START_OF_OUTPUT, and runs the argv with the rest."""
    mark = f"printf %s\\\\n {START_OF_OUTPUT.decode().strip()}; "
    return loader.loader_input(argv, has_more=has_more, before=mark)


class Output:
    """The output of a command, without what the login shell printed before it."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.before = bytearray()
        """The last 4 KiB before the mark."""
        self.begun = False
        """Whether the mark has been read: the login shell runs the command."""

    def feed(self, data: bytes) -> None:
        """Add bytes as they arrive."""
        if not self.begun:
            self.before += data
            before, mark, after = self.before.partition(START_OF_OUTPUT)
            self.begun = bool(mark)
            self.before = before[-DIAGNOSIS:]
            data = bytes(after)
        self.content += data

    def feed_from(self, connection: socket.socket, deadline: Deadline) -> None:
        """Read exactly through the mark, or to the end. Raises TimeoutError at the deadline."""
        try:
            while not self.begun:
                connection.settimeout(max(0.001, deadline.left))
                data = connection.recv(len(START_OF_OUTPUT) - self._length_of_begun_mark())
                if not data:
                    return
                self.feed(data)
        finally:
            connection.settimeout(None)

    def _length_of_begun_mark(self) -> int:
        lengths = range(len(START_OF_OUTPUT) - 1, 0, -1)
        return next((length for length in lengths if self.before.endswith(START_OF_OUTPUT[:length])), 0)


class CommandOutput:
    """What a command on a host has printed so far, and how it is judged."""

    def __init__(self, place: str) -> None:
        self.place = place
        """The host as error messages name it."""
        self.stdout = Output()
        self.stderr = bytearray()

    def take_stdout(self, data: bytes) -> None:
        """Add output. Raises TooMuchOutputError."""
        self.stdout.feed(data)
        self.check()

    def take_stderr(self, data: bytes) -> None:
        """Add errors. Raises TooMuchOutputError."""
        self.stderr += data
        self.check()

    def check(self) -> None:
        """Raise TooMuchOutputError if more has been printed than is kept."""
        check_output(len(self.stdout.content) + len(self.stderr), self.place)

    def result(self, code: int) -> CommandResult:
        """Return the result. `code` is negative if the connection ended first.

        Raises TooMuchOutputError, ConnectionLostError, or OcattachError if the login shell did not run the command.
        """
        self.check()
        if code < 0 and not self.stdout.content:
            raise ConnectionLostError(
                f"The ssh connection to {self.place} ended while a command ran{self.printed_instead}"
            )
        if not self.stdout.begun:
            raise self.not_run()
        stdout, stderr = bytes(self.stdout.content), bytes(self.stderr)
        return CommandResult(code if code >= 0 else SIGNALLED, stdout, stderr)

    def not_run(self) -> OcattachError:
        """Return the error for a login shell that did not run the command."""
        return OcattachError(
            f"A command could not be run on {self.place}{self.printed_instead}",
            hint="Try: ssh HOST echo works. Start-up files may do less for commands than for terminals",
        )

    def timed_out(self, timeout: float) -> TimedOutError:
        """Return the error for a command that did not end in time."""
        return TimedOutError(
            f"A command on {self.place} did not end within {timeout:.0f} s{self.printed_instead}"
        )

    @property
    def printed_instead(self) -> str:
        """For an error: what the login shell printed instead of running the command."""
        if self.stdout.begun:
            return ""
        printed = (self.stdout.before + self.stderr)[-SHOWN:].decode(errors="replace").strip()
        return f"; its login shell did not get as far as the command, and said: {printed or 'nothing'}"
