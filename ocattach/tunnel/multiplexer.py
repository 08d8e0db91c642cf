"""The near end of a relay: many connections over one stream, each with its own flow control.

The stream is always read: a slow connection is limited by its credit alone.
"""

import asyncio
import logging
import struct
from collections.abc import Callable
from functools import partial
from typing import cast

from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.execution import Stream
from ocattach.tunnel.channel import Channel, Distance
from ocattach.tunnel.frames import BannerFinder, Decoder, Frame, FrameType, encode, open_frame

_WRITE_BUFFER = 256 * 1024
_COUNTER = struct.Struct(">Q")
_LAST_STREAM = 2**32 - 1

log = logging.getLogger(__name__)


class Multiplexer(asyncio.Protocol):
    """Opens connections in an environment through the relay at the other end of `stream`.

    The relay is pinged every `ping_interval` seconds, and counts as lost when nothing arrives for `ping_timeout`
    seconds after a ping. The caller closes the stream.
    """

    def __init__(self, stream: Stream, *, ping_interval: float = 15, ping_timeout: float = 15) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when the relay is lost."""
        self.round_trip: float | None = None
        """The duration of the last answered ping, in seconds."""
        self._distance = Distance()
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._transport: asyncio.Transport | None = None
        self._banner: BannerFinder | None = BannerFinder()
        self._announced: asyncio.Future[bool] = self._loop.create_future()
        self._decoder = Decoder()
        self._channels: dict[int, Channel] = {}
        self._last_stream = 0
        self._congested = False
        self._last_received = 0.0
        self._ping: bytes | None = None
        self._ping_sent = 0.0
        self._pings = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def start(self, *, within: float) -> None:
        """Wait at most `within` seconds for the relay's banner.

        Raises TimedOutError, or ConnectionLostError when there is no relay of our version.
        """
        try:
            async with asyncio.timeout(within):
                await self._stream.attach(self)
                await self._announced
        except TimeoutError as error:
            message = f"The relay did not announce itself within {within:g} s"
            raise TimedOutError(self._explain(message)) from error
        if self.lost.done():
            raise ConnectionLostError(self.lost.result())

    async def open(self, protocol: asyncio.Protocol, host: str, port: int) -> None:
        """Connect the protocol to a port of the environment.

        Raises ConnectionResetError when the environment refuses, ConnectionLostError when the relay is gone.
        """
        if self.lost.done():
            raise ConnectionLostError(self.lost.result())
        number = self._next_stream()
        channel = Channel(number, protocol, send=self._send, forget=self._forget, distance=self._distance)
        channel.set_congested(congested=self._congested)
        self._channels[number] = channel
        self._send(encode(open_frame(number, host, port)) + self._begin_check(None))
        try:
            # Shielded: the relay's answer may come before this task runs again to abort the channel.
            error = await asyncio.shield(channel.opened)
        except asyncio.CancelledError:
            channel.abort()
            raise
        if error is not None:
            raise error

    def check(self, *, within: float | None = None) -> None:
        """Ping the relay now instead of at the next interval; `within` replaces the ping timeout, in seconds."""
        self._send(self._begin_check(within))

    def _begin_check(self, within: float | None) -> bytes:
        """Return the ping to send now, whose answer is awaited from now on; nothing if another is under way."""
        if self.lost.done() or (self._ping is not None and within is None):
            return b""
        self._pings += 1
        self._ping = _COUNTER.pack(self._pings)
        self._ping_sent = self._loop.time()
        seconds = self._ping_timeout if within is None else within
        self._set_timer("deadline", seconds, partial(self._check_answer, seconds))
        return encode(Frame(FrameType.PING, 0, self._ping))

    def close(self) -> None:
        """Drop the relay and every connection through it. Closing twice is harmless."""
        self._lose("The relay was closed.")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the stream."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Dispatch the relay's frames to their connections."""
        self._last_received = self._loop.time()
        try:
            decoded = self._stream.decode(data)
            if self._banner is not None:
                decoded = self._skip_banner(self._banner, decoded)
            for frame in self._decoder.feed(decoded):
                self._receive(frame)
        except ConnectionLostError as error:
            self._lose(self._explain(str(error).rstrip(".")))

    def eof_received(self) -> bool:
        """Handle the end of the relay's output."""
        self._end(None)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the loss of the stream."""
        self._end(error)

    def pause_writing(self) -> None:
        """Pause all connections while the stream is full."""
        self._set_congested(congested=True)

    def resume_writing(self) -> None:
        """Let everybody write again."""
        self._set_congested(congested=False)

    def _set_congested(self, *, congested: bool) -> None:
        self._congested = congested
        for channel in list(self._channels.values()):
            if self._congested == congested:  # sending may have filled the stream again
                channel.set_congested(congested=congested)

    def _skip_banner(self, banner: BannerFinder, data: bytes) -> bytes:
        rest = banner.feed(data)
        if rest is None:
            return b""
        self._banner = None
        if not self._announced.done():  # it was waited for too long
            self._announced.set_result(True)
        self._tick()
        return rest

    def _receive(self, frame: Frame) -> None:
        if frame.type is FrameType.PONG:
            if frame.payload == self._ping:
                self.round_trip = self._loop.time() - self._ping_sent
                shortest = self._distance.round_trip
                self._distance.round_trip = min(self.round_trip, shortest or self.round_trip)
                self._ping = None
        elif frame.type is FrameType.PING:
            # Answers would pile up here if the relay sent pings and did not read.
            raise ConnectionLostError("The relay sent a ping; only the near end may.")
        elif frame.stream in self._channels:
            self._channels[frame.stream].receive(frame)

    def _tick(self) -> None:
        self.check()
        self._set_timer("interval", self._ping_interval, self._tick)

    def _check_answer(self, seconds: float) -> None:
        if self._last_received >= self._ping_sent:
            self._ping = None
        else:
            self._lose(self._explain(f"The relay did not answer for {seconds:g} s"))

    def _set_timer(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(delay, callback)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _forget(self, number: int) -> None:
        self._channels.pop(number, None)

    def _next_stream(self) -> int:
        while True:
            self._last_stream = self._last_stream % _LAST_STREAM + 1
            if self._last_stream not in self._channels:
                return self._last_stream

    def _end(self, error: Exception | None) -> None:
        if self._banner is None:
            what = f"The relay was lost ({error})" if error else "The relay ended"
        else:
            what = "The relay ended before it was ready"
        self._lose(self._explain(what))

    def _explain(self, what: str) -> str:
        said = self._stream.diagnosis().strip() or (self._banner.noise if self._banner is not None else "")
        return f"{what}: {said}" if said else f"{what}."

    def _lose(self, reason: str) -> None:
        if self.lost.done():
            return
        log.debug("%s", reason)
        self.lost.set_result(reason)
        if not self._announced.done():
            self._announced.set_result(False)
        for timer in self._timers.values():
            timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        for channel in list(self._channels.values()):
            channel.lose(ConnectionLostError(reason))
