"""The client end of a tunnel whose streams of events go on over the next connection."""

import asyncio
import logging
import time
from collections.abc import Callable

from ocattach.errors import ConnectionLostError
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.client import Client
from ocattach.tunnel.event_stream import EventStream, StreamResumer, chunk
from ocattach.tunnel.splice import SpliceEndpoint

ANSWER_SECONDS = 10.0
"""Time for the environment to answer a repeated request for events."""

SETTLED_SECONDS = 2.0
"""How long after its first event a stream of events is complete: what happens as it opens can be missing (1.18.33)."""

log = logging.getLogger(__name__)


class ResumableClient(Client):
    """A local client that does not notice the loss of a connection while it reads events.

    For an answer that `resumer` handles, `on_interrupted` is called, and the owner calls `resume` once there is
    another connection.
    """

    def __init__(
        self,
        on_connected: Callable[[Client], None],
        on_closed: Callable[[SpliceEndpoint], None],
        on_interrupted: Callable[["ResumableClient"], None],
        resumer: StreamResumer | None,
    ) -> None:
        super().__init__(on_connected, on_closed)
        self._on_interrupted = on_interrupted
        self._resumer = resumer
        self._stream: EventStream | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._is_settling = False
        """Whether events wait for a second replay."""
        self._last_received = (0.0, 0.0)
        self.is_interrupted = False
        """Whether the client reads a stream of events that waits to be resumed."""
        self._answered = asyncio.Event()
        self._waiting = bytearray()

    def _inspect(self, data: bytes) -> None:
        if self._resumer is not None and (self._stream is None or self._stream.is_over):
            self._stream = EventStream(data) if self._resumer.handles(data) else None
            self._last_received = now()

    def _pass_on(self, data: bytes) -> None:
        if self._stream is None:
            super()._pass_on(data)
        else:
            self._write_events(self._stream, data)

    def end_writing(self) -> None:
        """Handle the end of the environment's output, which is a loss if the client reads events."""
        if self._can_resume:
            self.lose()
        else:
            super().end_writing()

    def lose(self) -> None:
        """Handle the loss of the connection: a stream of events waits for the next one."""
        if not self._can_resume:
            super().lose()
            return
        self._stop_settling()
        self.detach()
        self._answered.set()
        if not self.is_interrupted:
            self.is_interrupted = True
            self._on_interrupted(self)

    def show_message(self, message: str) -> None:
        """Show the client's user a message, if the client reads a stream of events that can be resumed."""
        if self._can_resume and self._stream is not None and self._resumer is not None:
            super()._pass_on(chunk(self._resumer.message_event(self._stream.request, message)))

    async def resume(self, greeting: str = "") -> None:
        """Resume the stream of events over the present connection, and replay the missed events.

        The greeting is shown to the user first.
        Raises ConnectionLostError when that connection is lost before the replay has ended.
        """
        stream, resumer = self._stream, self._resumer
        if stream is None or resumer is None:
            return
        silent = max(present - heard for present, heard in zip(now(), self._last_received, strict=True))
        self._answered.clear()
        self._stop_settling()
        self._waiting.clear()
        request = self._request_again(stream)
        if self.other is None:
            raise ConnectionLostError("The connection was lost immediately.")
        self.other.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            self.detach()
        # New events wait until the missed ones, which are older, have been replayed.
        missed = await in_thread(lambda: resumer.replay(stream.request, silent)) if stream.answers else ()
        greeted = resumer.message_event(stream.request, greeting) if greeting else b""
        if self.other is None:
            raise ConnectionLostError(
                "The request for events was not answered, or the connection was lost again."
            )
        self.is_interrupted = False
        super()._pass_on(chunk(greeted + b"".join(missed)) + self._waiting)
        self._waiting.clear()
        self.other.begin()
        self._settling = asyncio.create_task(self._settle(stream, time.monotonic() - silent))

    async def _settle(self, stream: EventStream, lost_at: float) -> None:
        """Replay again what was missed since a time of the monotonic clock, once the new stream is complete."""
        await asyncio.sleep(SETTLED_SECONDS)
        resumer = self._resumer
        if resumer is None or self._stream is not stream or not self._can_resume:
            return
        self._is_settling, missed = True, b""  # newer events wait
        try:
            missed = b"".join(
                await in_thread(lambda: resumer.replay(stream.request, time.monotonic() - lost_at))
            )
        except Exception:
            log.exception("Could not read what a client missed")
        self._is_settling = False
        super()._pass_on(chunk(missed) + self._waiting)
        self._waiting.clear()
        if self.other is not None:
            self.other.begin()

    def _stop_settling(self) -> None:
        self._is_settling = False
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def _request_again(self, stream: EventStream) -> bytes:
        return stream.restart()

    @property
    def _can_resume(self) -> bool:
        """Whether another connection can continue the client's answer."""
        is_there = not self.closed and not self._read_ended
        return is_there and self._stream is not None and self._stream.can_resume

    def _write_events(self, stream: EventStream, data: bytes) -> None:
        has_begun = stream.has_begun
        try:
            piece = stream.receive(data)
        except ConnectionLostError as error:
            log.debug("A stream of events was interrupted: %s", error)
            self.lose()
            return
        if piece.events and self._resumer is not None:
            self._resumer.observe(piece.events)
        if not (self.is_interrupted or self._is_settling):
            self._last_received = now()
            super()._pass_on(piece.encode())
            if stream.has_begun and not has_begun:
                self._greeting = asyncio.create_task(self._greet(stream))
            return
        super()._pass_on(piece.plain)
        self._waiting += piece._replace(plain=b"").encode()
        if self.other is not None and (stream.answers or stream.is_over):
            self._answered.set()
            self.other.pause_reading()

    async def _greet(self, stream: EventStream) -> None:
        """Show the client's user a greeting, between two events of a stream that has just begun."""
        if self._resumer is None:
            return
        greetings = self._resumer.greet(stream.request)
        while events := await in_thread(lambda: next(greetings, b"")):
            if self._stream is not stream or not self._can_resume or self.is_interrupted:
                return
            super()._pass_on(chunk(events))

    def eof_received(self) -> bool:
        """Forward the end of input; a client whose stream is interrupted is reset."""
        if self.is_interrupted:
            self.reset()
            return True
        return super().eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_settling()
        if self._greeting is not None:
            self._greeting.cancel()
        super().connection_lost(error)


def now() -> tuple[float, float]:
    """Return the time of two clocks: one that stops while the machine sleeps, and one that users can set."""
    return time.monotonic(), time.time()
