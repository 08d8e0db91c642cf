"""What a command in an environment gives back: a result when it ended, a stream while it runs.

These two types are all that an engine shows of itself, so that one environment can later be opened through another.
"""

import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ocattach.errors import TooMuchOutputError

MAX_OUTPUT = 8 * 1024 * 1024
"""Bytes of a command's stdout and stderr together: an environment cannot make us hold more."""


def check_output(size: int, place: str) -> None:
    """See, whenever more has come, that a command's output may still be collected.

    `size` is that of stdout and stderr together, as far as they are kept. Raises TooMuchOutputError; the caller
    then ends the command, or where that cannot be done its connection.
    """
    if size > MAX_OUTPUT:
        raise TooMuchOutputError(
            f"A command in {place} printed more than {MAX_OUTPUT // 1024 // 1024} MiB and was given up",
            hint="Does its shell, or a file that the shell reads at its start, print without end?",
        )


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that ended."""

    exit_code: int
    """As a shell reports it: 127 when the program is not there, 128 + N after signal N."""

    stdout: bytes
    stderr: bytes


class Stream(ABC):
    """A duplex byte stream to a running command's stdin and stdout, or to a port in an environment.

    It rests on a connected stream socket, because that is what an event loop can wait for.
    Bytes written to the socket arrive at the far end as they are; its write side shut down means end of input.
    Bytes read from the socket are the far end's only after `decode`: Docker wraps what it sends.
    """

    @property
    @abstractmethod
    def socket(self) -> socket.socket:
        """The socket; who calls this may set it non-blocking, and leaves closing it to `close`."""

    def decode(self, data: bytes) -> bytes:
        """The far end's output in the bytes just read from the socket; called in order, exactly once for each read.

        Raises ConnectionLostError when the bytes cannot be what the engine promised.
        """
        return data

    def is_whole(self) -> bool:
        """Whether the end of what could be read is one that the far end has sent, rather than a lost connection's."""
        return True

    def diagnosis(self) -> str:
        """What the far end said on stderr so far, its last 4 KiB; empty where there is nothing to tell."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """End the stream and whatever carries it. Closing twice is harmless."""
