"""Join two connections: each writes what the other reads, until both directions have ended.

Each end stops reading while the other cannot write, so at most one read is buffered.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import cast

from ocattach.errors import ConnectionLostError

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


READ_SIZE = 64 * 1024
"""Bytes of one read, which each connection may have to buffer while the other side is slow."""


class _ReadBuffer(threading.local):
    """A buffer for each event loop, which copies its content before the next read."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_SIZE))


_read_buffer = _ReadBuffer()


class SpliceEndpoint(asyncio.Protocol, asyncio.BufferedProtocol):
    """One end of a splice, on a socket or on a channel.

    `decode` is applied to the data of each read. `is_whole` is called at the end of input and returns whether the
    peer meant to end there. `on_closed` is called once, when the connection has ended.
    """

    port = 0
    """The port of the environment's loopback to connect to, whichever account listens there; 0: the tunnel's own."""

    def __init__(
        self,
        *,
        decode: Callable[[bytes], bytes] | None = None,
        is_whole: Callable[[], bool] | None = None,
        on_closed: Callable[["SpliceEndpoint"], None] | None = None,
    ) -> None:
        self.other: SpliceEndpoint | None = None
        self.closed = False
        self._decode = decode
        self._is_whole = is_whole
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._read_ended = False
        self._write_ended = False
        self._blocked = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to reset; `on_closed` is called at its end."""
        return self._transport is not None and not self.closed

    def join(self, other: "SpliceEndpoint") -> None:
        """Splice both ends. Neither may have been read before."""
        self.other = other
        other.other = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, which is to pause us as soon as it cannot write immediately."""
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("socket") is not None:
            self._transport.set_write_buffer_limits(high=0)

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Return the buffer to read into; asyncio's own is four times as large."""
        return _read_buffer.view

    def buffer_updated(self, size: int) -> None:
        """Forward what was read from a socket."""
        self.data_received(bytes(_read_buffer.view[:size]))

    def data_received(self, data: bytes) -> None:
        """Forward data to the other end."""
        if self._decode is not None:
            try:
                data = self._decode(data)
            except ConnectionLostError:
                self.reset()
                return
        if self.other is not None:
            self.other.write(data)

    def eof_received(self) -> bool:
        """Forward the end of input; the transport stays open for the other direction."""
        if self._is_whole is not None and not self._is_whole():
            self.reset()
            return True
        self._read_ended = True
        if self.other is not None:
            self.other.end_writing()
        self._close_when_ended()
        return True

    def pause_writing(self) -> None:
        """Pause reading at the other end."""
        self._blocked = True
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """Resume reading at the other end."""
        self._blocked = False
        if self.other is not None:
            self.other.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        """Report the loss to the other end, unless both directions had ended."""
        self.closed = True
        if self.other is not None and not (self._read_ended and self._write_ended):
            self.other.lose()
        if self._on_closed is not None:
            self._on_closed(self)
        if self.other is not None and self.other.closed:
            self.other.other = None  # a cycle would keep both in memory until it is collected
            self.other = None

    def write(self, data: bytes) -> None:
        """Write data; if that has to be buffered, the other end is paused."""
        if self._transport is not None:
            self._transport.write(data)

    def end_writing(self) -> None:
        """End this direction after the data written; the other direction stays open."""
        if self._transport is None or self._write_ended:
            return
        self._write_ended = True
        try:
            self._transport.write_eof()
        except OSError:
            # The peer has reset the connection, which was not read yet.
            self.reset()
            return
        self._close_when_ended()

    def pause_reading(self) -> None:
        """Pause reading."""
        if self._transport is not None and not self._read_ended:
            self._transport.pause_reading()

    def pause_again(self) -> None:
        """Pause reading where asyncio ignored an earlier pause."""
        if self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading."""
        # After its end of input a socket stays readable, and asyncio would report the end again.
        if self._transport is not None and not self._read_ended:
            self._transport.resume_reading()

    def begin(self) -> None:
        """Start reading, unless the other end is blocked."""
        if self.other is not None and not self.other._blocked:  # noqa: SLF001 - another of us
            self.resume_reading()

    def lose(self) -> None:
        """Handle the loss of the other end."""
        self.reset()

    def detach(self) -> None:
        """Reset the other end, and be without one."""
        far, self.other = self.other, None
        if far is not None:
            far.other = None
            far.reset()

    def reset(self) -> None:
        """Abort the connection so that the peer sees a reset, not an orderly end."""
        if self.closed or self._transport is None:
            return
        transport_socket = self._transport.get_extra_info("socket")
        if transport_socket is not None:
            transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def _close_when_ended(self) -> None:
        if self._read_ended and self._write_ended and self._transport is not None:
            self._transport.close()
