"""The result of a command in an environment, and the stream of a running one.

Transports expose nothing else of an engine, so that one environment can later be opened through another.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ocattach.errors import TooMuchOutputError

if TYPE_CHECKING:
    import asyncio

MAX_OUTPUT = 8 * 1024 * 1024
"""The largest output of a command, stdout and stderr together, in bytes."""


def check_output(size: int, place: str) -> None:
    """Raise TooMuchOutputError if a command has printed too much. Called after each read.

    `size` is that of stdout and stderr together, as far as they are kept. After the error the caller ends the command,
    or its connection if that is not possible.
    """
    if size > MAX_OUTPUT:
        raise TooMuchOutputError(
            f"A command in {place} printed more than {MAX_OUTPUT // 1024 // 1024} MiB and was stopped",
            hint="Check whether a start-up file of the shell there prints without end",
        )


@contextmanager
def on_error(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo`, such as the `close` of a resource, if an exception leaves the context."""
    try:
        yield
    except BaseException:
        undo()
        raise


class CommandResult(NamedTuple):
    """The result of a command."""

    exit_code: int
    """As a shell reports it: 127 if the program was not found, 128 + N after signal N."""

    stdout: bytes
    stderr: bytes


class Stream(ABC):
    """A duplex byte stream to a running command's stdin and stdout, or to a port in an environment.

    It has a connected stream socket, which an event loop can wait for. Bytes written to the socket arrive unchanged at
    the far end; shutting down its write side means end of input. Bytes read from it must pass `decode`, because Docker
    frames its output.
    """

    @property
    @abstractmethod
    def socket(self) -> socket.socket:
        """The socket. Callers may make it non-blocking, and must close it by `close` only."""

    def decode(self, data: bytes) -> bytes:
        """Return the output in the bytes just read. Called exactly once for each read, in order.

        Raises ConnectionLostError if the framing is invalid.
        """
        return data

    async def attach(self, protocol: "asyncio.Protocol") -> None:
        """Let a protocol of the running event loop read and write the stream, in place of the caller and the socket.

        What it receives must pass `decode`, too. It leaves the stream by `abort` of its transport, before `close`.
        """
        import asyncio  # noqa: PLC0415 - slow to load

        # The event loop closes the socket it is given, so it gets a duplicate.
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=self.socket.dup())

    def is_whole(self) -> bool:
        """Return whether the far end has ended the stream, rather than a lost connection."""
        return True

    def diagnosis(self) -> str:
        """Return the last 4 KiB of stderr so far; empty if there is none."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Close the stream and its connection. Closing twice is harmless."""
