"""The messages between the command line and a link: one JSON object per line, over a private Unix socket."""

import json
import select
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from ocattach.printable import command_line

PROTOCOL = 10
"""The version of the messages. Raise it if another version could misread them."""

MAX_LINE = 16 * 1024 * 1024
"""A request has the variables of a command, which Linux limits to a few MiB (execve(2))."""

SEND_SECONDS = 1.0

Message = dict[str, Any]


def waiting_notice(name: str, sessions: Sequence[str]) -> str:
    """Return how many sessions of an environment wait for a person, and the command that opens or lists them."""
    if len(sessions) == 1:
        return f"1 session waits for you: {command_line('ocattach', 'session', 'open', sessions[0])}"
    return f"{len(sessions)} sessions wait for you: {command_line('ocattach', 'session', 'waiting', name)}"


def no_password(port: int) -> str:
    """Return the notice about a daemon without a password, which ocattach did not start."""
    return f"The daemon on port {port} has no password: everyone who can connect to its port can use it"


class HungUpError(Exception):
    """The other side closed the connection."""


class Reporter(Protocol):
    """Shows what happens to a command that waits for a connection."""

    def doing(self, text: str) -> None:
        """Show what is being done, until the next step."""

    def step(self, text: str) -> None:
        """Show a completed step."""

    def notice(self, text: str) -> None:
        """Show what happened since the last attach."""


class Foreground(Reporter, Protocol):
    """The terminal of a command that waits for a link."""

    def answer(self, text: str, *, secret: bool, confirm: bool) -> str | None:
        """Ask the person a question and return the answer; None without a terminal."""


class MessageChannel:
    """A connection between the command line and a link."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")

    def send(self, message: Message) -> None:
        """Send a message. Raises HungUpError if the other side has closed the connection."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise HungUpError from error

    def has_ended(self, *, within: float = 0) -> bool:
        """Return whether the other side has closed the connection, or sent unexpected data, after `within` seconds."""
        return bool(select.select([self._connection], [], [], within)[0])

    def send_lines(self, lines: Iterable[bytes], may_go_on: Callable[[], bool]) -> None:
        """Send lines, however slowly the other side reads.

        Raises HungUpError if that has closed the connection, and once `may_go_on` returns False.
        """
        unsent = memoryview(b"".join(b"%b\n" % line for line in lines))
        self._connection.settimeout(SEND_SECONDS)
        while unsent and may_go_on():
            try:
                unsent = unsent[self._connection.send(unsent) :]
            except TimeoutError:
                continue
            except OSError as error:
                raise HungUpError from error
        if unsent:
            raise HungUpError

    def receive(self, *, timeout: float | None) -> Message:
        """Return the next message. Raises TimeoutError after `timeout` seconds, HungUpError at the end.

        After a TimeoutError the connection is of no further use.
        """
        self._connection.settimeout(timeout)
        try:
            line = self._reader.readline(MAX_LINE)
        except TimeoutError:
            raise
        except OSError as error:
            raise HungUpError from error
        if not line.endswith(b"\n"):
            raise HungUpError
        message: Message = json.loads(line)
        return message

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        self._connection.close()
