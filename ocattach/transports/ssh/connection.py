"""A connection to an ssh host, logged in: what both clients, OpenSSH and paramiko, offer the transport."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

from ocattach.errors import UnreachableError
from ocattach.execution import CommandResult, Stream
from ocattach.transports.foreground import ForegroundCommand


class SessionRefusedError(UnreachableError):
    """The host is connected, but does not run another command on this connection (MaxSessions)."""


class SSHConnection(ABC):
    """An authenticated connection to one host. Several threads may run commands at once."""

    hostname: str
    user: str

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether commands can still be run. Does not send anything."""

    @abstractmethod
    def run(self, argv: Sequence[str], *, stdin: bytes, timeout: float) -> CommandResult:
        """Run a command by `command.LOADER`, and wait at most `timeout` seconds for it.

        Raises SessionRefusedError, ConnectionLostError, TimedOutError, TooMuchOutputError, or OcattachError with the
        login shell's own output if that did not run the command.
        """

    @abstractmethod
    def open_stream(self, argv: Sequence[str]) -> Stream:
        """Start a command by `command.LOADER`, with the stream as its stdin and stdout.

        Returns once the login shell runs the command. Raises as `run` does.
        """

    @abstractmethod
    def open_foreground(self, line: str, *, size: os.terminal_size | None) -> ForegroundCommand:
        """Start a command line on a new terminal of this size, or without one. Raises as `run` does."""

    def shared_login(self) -> str | None:
        """Return what other processes need to use this connection; None if they cannot."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Close the connection and all of its commands. Closing twice is harmless."""
