"""The local client's end of a tunnel.

An HTTP client whose request cannot be answered gets an HTTP error: a reset would give no reason, and not show
whether the request may be repeated.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus

from ocattach.errors import LINK_ERROR, ConnectionLostError
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.event_stream import EventStream, StreamResumer, chunk
from ocattach.tunnel.splice import SpliceEndpoint

REQUEST = re.compile(rb"[A-Z]{3,7} /")
"""The start of an HTTP/1 request."""

CHALLENGE = 'WWW-Authenticate: Basic realm="ocattach"\r\n'
"""With which a browser asks its user for a name and a password (RFC 7617)."""

SUCCESS = (b"HTTP/1.1 2", b"HTTP/1.0 2")
UPGRADED = b"HTTP/1.1 101"
"""The start of an answer after which a connection no longer carries HTTP (WebSockets)."""

REQUEST_SECONDS = 1.0
"""Time for a client that is refused to send its request, which the error then answers."""

LINGER_SECONDS = 1.0
"""Time for a refused client to read the error before its connection is reset."""

ANSWER_SECONDS = 10.0
"""Time for the environment to answer a repeated request for events."""

SETTLED_SECONDS = 2.0
"""How long after its first event a stream of events is complete: what happens as it opens can be missing (1.18.33)."""

log = logging.getLogger(__name__)

UNANSWERED = "The connection was lost before OpenCode answered. It may have received this request."


def refusal(status: HTTPStatus, reason: str) -> bytes:
    """Return an HTTP error in the format of OpenCode's own: a name, and data with a message."""
    body = json.dumps({"name": LINK_ERROR, "data": {"message": reason}}).encode()
    challenge = CHALLENGE if status is HTTPStatus.UNAUTHORIZED else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{challenge}Connection: close\r\n\r\n"
    )
    return head.encode() + body


class Client(SpliceEndpoint):
    """A local client. Nothing is read from it before it is spliced to a connection.

    When that connection is lost in the middle of an answer, the client is reset, as the server itself would do.
    Before the first byte of an answer it gets HTTP error 502 instead, since the request may have arrived.
    For an answer that `resumer` handles, `on_interrupted` is called, and the owner calls `resume` once there is
    another connection; the client notices nothing.
    """

    def __init__(
        self,
        on_connected: Callable[["Client"], None],
        on_closed: Callable[[SpliceEndpoint], None],
        on_interrupted: Callable[["Client"], None],
        resumer: StreamResumer | None,
    ) -> None:
        super().__init__(on_closed=on_closed)
        self._on_connected = on_connected
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
        self._speaks_http: bool | None = None
        self._unanswered = False
        self._refusal = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport and report the client."""
        super().connection_made(transport)
        self._await_connection()
        self._on_connected(self)

    def _await_connection(self) -> None:
        self.pause_reading()
        # asyncio of Python 3.11.2 (Debian 12) begins to read once this has returned, paused or not.
        asyncio.get_running_loop().call_soon(self.pause_again)

    def data_received(self, data: bytes) -> None:
        """Forward the client's data; of a client that is refused, only the start of its request counts."""
        if self._speaks_http is None:
            self._speaks_http = REQUEST.match(data) is not None
        if not self._refusal:
            self._unanswered = self._speaks_http
            if (
                self._speaks_http
                and self._resumer is not None
                and (self._stream is None or self._stream.is_over)
            ):
                self._stream = EventStream(data) if self._resumer.handles(data) else None
                self._last_received = now()
            super().data_received(data)
        elif not self._write_ended:
            self._answer_refusal()

    def write(self, data: bytes) -> None:
        """Send the client data from the environment."""
        if self._unanswered:
            self._unanswered = False
            self._speaks_http = not data.startswith(UPGRADED)
        if self._stream is None:
            super().write(data)
        else:
            self._write_events(self._stream, data)

    def end_writing(self) -> None:
        """Handle the end of the environment's output, which is a loss if the client waits for an answer."""
        if self._unanswered or self._can_resume:
            self.lose()
        else:
            super().end_writing()

    def lose(self) -> None:
        """Handle the loss of the connection that the client is spliced to."""
        if self._can_resume:
            self._stop_settling()
            self.detach()
            self._answered.set()
            if not self.is_interrupted:
                self.is_interrupted = True
                self._on_interrupted(self)
        elif self._unanswered:
            self.refuse(HTTPStatus.BAD_GATEWAY, UNANSWERED)
        else:
            super().lose()

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer the client's request with an error and end the connection; without HTTP, reset it."""
        self.end_with(refusal(status, reason))

    def end_with(self, answer: bytes) -> None:
        """Send the client this answer of the link's own, and end the connection; without HTTP, reset it."""
        if self.closed or self._refusal:
            return
        self._refusal = answer
        self.detach()
        if self._unanswered:
            self._answer_refusal()
        else:
            self._reset_in(REQUEST_SECONDS)
        self.resume_reading()

    def refuse_unsent(self, reason: str) -> None:
        """Refuse the request because there is no connection to send it over."""
        self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"Not sent: {reason}")

    def show_message(self, message: str) -> None:
        """Show the client's user a message, if the client reads a stream of events that can be resumed."""
        if self._can_resume and self._stream is not None and self._resumer is not None:
            super().write(chunk(self._resumer.message_event(self._stream.request, message)))

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
        super().write(chunk(greeted + b"".join(missed)) + self._waiting)
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
        super().write(chunk(missed) + self._waiting)
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
            super().write(piece.encode())
            if stream.has_begun and not has_begun:
                self._greeting = asyncio.create_task(self._greet(stream))
            return
        super().write(piece.plain)
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
            super().write(chunk(events))

    def eof_received(self) -> bool:
        """Forward the end of input; a client whose stream is interrupted is reset."""
        if self.is_interrupted:
            self.reset()
            return True
        return super().eof_received()

    def _answer_refusal(self) -> None:
        if not self._speaks_http:
            self.reset()
            return
        # What the client still sends has to be read: closed with unread bytes, a socket resets its peer, and the
        # answer may be lost with that (RFC 9112, 9.6).
        self._unanswered = False
        self._reset_in(LINGER_SECONDS)
        super().write(self._refusal)
        super().end_writing()

    def _reset_in(self, seconds: float) -> None:
        self._forget_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.reset)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the client's connection."""
        self._forget_timer()
        self._stop_settling()
        super().connection_lost(error)


def now() -> tuple[float, float]:
    """Return the time of two clocks: one that stops while the machine sleeps, and one that users can set."""
    return time.monotonic(), time.time()
