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
LARGEST_READ = 65536
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


class CommandOutput:
    """What a command on a host has printed so far, without what the login shell printed before it."""

    def __init__(self, place: str, stderr: bytearray) -> None:
        """`place` is the host as error messages name it; `stderr` grows while the command runs."""
        self._place = place
        self.stderr = stderr
        self.stdout = bytearray()
        self._before = bytearray()
        """The last 4 KiB before the mark."""
        self.begun = False
        """Whether the mark has been read: the login shell runs the command."""

    def feed(self, data: bytes) -> None:
        """Add stdout as it arrives. Raises TooMuchOutputError."""
        if not self.begun:
            self._before += data
            before, mark, after = self._before.partition(START_OF_OUTPUT)
            self.begun = bool(mark)
            self._before = before[-DIAGNOSIS:]
            data = bytes(after)
        self.stdout += data
        self.check()

    def feed_from(self, connection: socket.socket, deadline: Deadline) -> None:
        """Read stdout exactly through the mark, or to the end. Raises TimeoutError at the deadline."""
        while not self.begun:
            if deadline.has_passed:  # though there is always more to read
                raise TimeoutError
            connection.settimeout(deadline.left)
            offered = connection.recv(LARGEST_READ, socket.MSG_PEEK)
            if not offered:
                return
            begun = self._before[1 - len(START_OF_OUTPUT) :]
            end = (begun + offered).find(START_OF_OUTPUT)
            through_mark = end + len(START_OF_OUTPUT) - len(begun)
            self.feed(connection.recv(len(offered) if end < 0 else through_mark))

    def check(self) -> None:
        """Raise TooMuchOutputError if more has been printed than is kept."""
        check_output(len(self.stdout) + len(self.stderr), self._place)

    def result(self, code: int) -> CommandResult:
        """Return the result. `code` is negative if the connection ended first.

        Raises TooMuchOutputError, ConnectionLostError, or OcattachError if the login shell did not run the command.
        """
        self.check()
        if code < 0 and not self.stdout:
            raise ConnectionLostError(
                f"The ssh connection to {self._place} ended while a command ran{self._printed_instead}"
            )
        if not self.begun:
            raise OcattachError(
                f"A command could not be run on {self._place}{self._printed_instead}",
                hint="Try: ssh HOST echo works. Start-up files may do less for commands than for terminals",
            )
        return CommandResult(code if code >= 0 else SIGNALLED, bytes(self.stdout), bytes(self.stderr))

    def timed_out(self, timeout: float) -> TimedOutError:
        """Return the error for a command that did not end in time."""
        return TimedOutError(
            f"A command on {self._place} did not end within {timeout:.0f} s{self._printed_instead}"
        )

    @property
    def _printed_instead(self) -> str:
        """For an error: what the login shell printed instead of running the command."""
        if self.begun:
            return ""
        printed = (self._before + self.stderr)[-SHOWN:].decode(errors="replace").strip()
        return f"; its login shell did not get as far as the command, and said: {printed or 'nothing'}"
