"""One connection of a multiplexer, as an asyncio transport, so that a splice can use it like a socket."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ocattach.errors import ConnectionLostError
from ocattach.tunnel.frames import (
    DATA_LIMIT,
    GRANT_SIZE,
    INITIAL_CREDIT,
    Frame,
    FrameType,
    encode,
    header,
    window_frame,
)

LARGEST_WINDOW = 4 * 1024 * 1024
"""The most that may be under way in one direction of a connection, in bytes."""

MOST_SPARE = 32 * 1024 * 1024
"""Bytes by which all windows of a relay together may grow. Clients that stop reading keep theirs in memory."""

AT_ONCE = 1.5
"""Round trips within which a whole window has to pass for the next one to be larger."""

GROWTH = 4
"""How many times as large it is."""


@dataclass(slots=True)
class Distance:
    """What the windows of all connections of one relay depend on."""

    round_trip: float | None = None
    """The shortest that was measured, in seconds."""

    spare: int = MOST_SPARE


class Window:
    """How much may be under way in one direction of a connection.

    It grows while the distance of the far end limits the speed, and not where the stream does: there the data would
    only wait longer, and all other connections behind it.
    """

    def __init__(self, distance: Distance) -> None:
        self._distance = distance
        self._now = asyncio.get_running_loop().time
        self._size = INITIAL_CREDIT
        self._passed = 0
        self._began = self._now()

    def growth(self, passed: int) -> int:
        """Return how many bytes more may be under way, after the receiver has taken so many."""
        self._passed += passed
        if self._passed < self._size:
            return 0
        began, self._began, self._passed = self._began, self._now(), 0
        if self._began - began >= AT_ONCE * (self._distance.round_trip or 0):
            return 0
        growth = min((GROWTH - 1) * self._size, LARGEST_WINDOW - self._size, self._distance.spare)
        self._size += growth
        self._distance.spare -= growth
        return growth

    def close(self) -> None:
        """Leave what it has grown by to other connections. Called once."""
        self._distance.spare += self._size - INITIAL_CREDIT


class Channel(asyncio.Transport):
    """A connection in the environment.

    Data without credit, or for a congested stream, is buffered, and the protocol is paused at once: the buffer
    never holds more than one read of the other side.
    """

    def __init__(
        self,
        stream: int,
        protocol: asyncio.Protocol,
        *,
        send: Callable[[bytes], None],
        forget: Callable[[int], None],
        distance: Distance,
    ) -> None:
        super().__init__()
        self.opened: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        """Done when the connection is open, or with the reason why it failed."""
        self._stream = stream
        self._protocol = protocol
        self._send = send
        self._forget = forget
        self._credit = INITIAL_CREDIT
        self._allowance = INITIAL_CREDIT
        self._consumed = 0
        self._sending, self._receiving = Window(distance), Window(distance)
        self._unsent: deque[memoryview] = deque()
        self._reading = True
        self._congested = False
        self._protocol_paused = False
        self._near_ended = False
        self._near_end_sent = False
        self._far_ended = False
        self._closed = False

    def is_closing(self) -> bool:
        """Whether writing has ended."""
        return self._closed or self._near_ended

    def pause_reading(self) -> None:
        """Grant no more credit; data already sent is still delivered."""
        self._reading = False

    def resume_reading(self) -> None:
        """Grant credit again."""
        self._reading = True
        self._grant()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data as far as credit allows, and buffer the rest."""
        if data and not self.is_closing():
            self._unsent.append(memoryview(data))
            self._pump()

    def write_eof(self) -> None:
        """End this direction after the buffered data; the other direction stays open."""
        self._near_ended = True
        self._pump()

    def close(self) -> None:
        """End this direction; the channel closes when the far end has ended too."""
        self.write_eof()

    def abort(self) -> None:
        """Reset the connection in the environment."""
        if not self._closed:
            self._send(encode(Frame(FrameType.RESET, self._stream)))
            self.lose(None)

    def receive(self, frame: Frame) -> None:
        """Handle a frame from the far end. Raises ConnectionLostError for a violation of the protocol."""
        match frame.type:
            case FrameType.DATA:
                self._deliver(frame.payload)
            case FrameType.WINDOW:
                self._credit += frame.credit + self._sending.growth(frame.credit)
                self._pump()
            case FrameType.OPENED if not self.opened.done():
                self.opened.set_result(None)
                self._protocol.connection_made(self)
                self._apply_backpressure()
            case FrameType.EOF if not self._far_ended:
                self._far_ended = True
                self._protocol.eof_received()
                self._finish()
            case FrameType.RESET:
                self.lose(ConnectionResetError(frame.reason))
            case _:
                raise ConnectionLostError(f"The relay sent a frame of type {frame.type.name} out of order.")

    def set_congested(self, *, congested: bool) -> None:
        """Set whether the stream to the relay is full."""
        self._congested = congested
        if congested:
            self._apply_backpressure()
        else:
            self._pump()

    def lose(self, error: Exception | None) -> None:
        """Mark the connection as closed; `error` is None if both directions ended or it was aborted here."""
        if self._closed:
            return
        self._closed = True
        self._unsent.clear()
        self._sending.close()
        self._receiving.close()
        self._forget(self._stream)
        if not self.opened.done():
            self.opened.set_result(error or ConnectionAbortedError())
        else:
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def _deliver(self, payload: bytes) -> None:
        self._allowance -= len(payload)
        if self._allowance < 0 or self._far_ended or not self.opened.done():
            raise ConnectionLostError("The relay sent more data than it had credit for.")
        self._protocol.data_received(payload)
        self._consumed += len(payload)
        self._grant()

    def _grant(self) -> None:
        if self._reading and self._consumed >= GRANT_SIZE and not self._closed:
            granted = self._consumed + self._receiving.growth(self._consumed)
            self._allowance += granted
            self._send(encode(window_frame(self._stream, granted)))
            self._consumed = 0

    def _pump(self) -> None:
        parts: list[bytes | memoryview] = []
        while self._unsent and self._credit > 0 and not self._congested:
            data = self._unsent.popleft()
            size = min(len(data), self._credit, DATA_LIMIT)
            if size < len(data):
                self._unsent.appendleft(data[size:])
            parts += (header(FrameType.DATA, self._stream, size), data[:size])
            self._credit -= size
        if self._near_ended and not self._unsent and not self._near_end_sent and not self._closed:
            self._near_end_sent = True
            parts.append(encode(Frame(FrameType.EOF, self._stream)))
        if parts:
            self._send(b"".join(parts))
        self._apply_backpressure()
        self._finish()

    def _apply_backpressure(self) -> None:
        pause = self._congested or bool(self._unsent)
        if pause == self._protocol_paused or self._closed or not self.opened.done():
            return
        self._protocol_paused = pause
        if pause:
            self._protocol.pause_writing()
        else:
            self._protocol.resume_writing()

    def _finish(self) -> None:
        if self._near_end_sent and self._far_ended:
            self.lose(None)
