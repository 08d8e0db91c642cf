"""The end of a tunnel that a local client is on.

An HTTP client whose request cannot be answered is told so: a bare reset says neither why nor whether to ask again.
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
"""How a request of HTTP/1 begins."""

CHALLENGE = 'WWW-Authenticate: Basic realm="ocattach"\r\n'
"""With which a browser asks its user for a name and a password (RFC 7617)."""

SUCCESS = (b"HTTP/1.1 2", b"HTTP/1.0 2")
UPGRADED = b"HTTP/1.1 101"
"""What ends the HTTP on a connection (WebSockets)."""

ASKING_SECONDS = 1.0
"""How long a client that is to be refused may take to send the request that the refusal answers."""

LINGER_SECONDS = 1.0
"""How long a refused client may take to read the refusal before its connection is reset."""

ANSWER_SECONDS = 10.0
"""How long the environment may take to answer a request for events that is sent again."""

log = logging.getLogger(__name__)

UNANSWERED = "The connection was lost before OpenCode answered. It may have received this request."


def refusal(status: HTTPStatus, reason: str) -> bytes:
    """An HTTP answer that gives the reason as OpenCode's own errors do: a name, and data with a message."""
    body = json.dumps({"name": LINK_ERROR, "data": {"message": reason}}).encode()
    challenge = CHALLENGE if status is HTTPStatus.UNAUTHORIZED else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{challenge}Connection: close\r\n\r\n"
    )
    return head.encode() + body


class Client(SpliceEndpoint):
    """A local client; it is not read before it has been spliced.

    When what it is spliced to goes away in the middle of an answer it is reset, as that server would have reset it.
    When no byte of an answer has come yet, it gets an HTTP error instead: 502, since the request may have arrived.
    A client whose answer is a stream that `keeper` keeps is not told: `on_interrupted` is called, and `go_on` is to
    be, once there is another connection.
    """

    def __init__(
        self,
        on_connected: Callable[["Client"], None],
        on_closed: Callable[[SpliceEndpoint], None],
        on_interrupted: Callable[["Client"], None],
        keeper: StreamResumer | None,
    ) -> None:
        super().__init__(on_closed=on_closed)
        self._on_connected = on_connected
        self._on_interrupted = on_interrupted
        self._keeper = keeper
        self._stream: EventStream | None = None
        self._heard = (0.0, 0.0)
        self._interrupted = False
        self._answered = asyncio.Event()
        self._waiting = bytearray()
        self._speaks_http: bool | None = None
        self._unanswered = False
        self._refusal = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and tell that somebody is there."""
        super().connection_made(transport)
        self.pause_reading()
        # asyncio of Python 3.11.2 (Debian 12) begins to read once this has returned, paused or not.
        asyncio.get_running_loop().call_soon(self.pause_again)
        self._on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what the client sent; of a client that is being refused only the first words matter."""
        if self._speaks_http is None:
            self._speaks_http = REQUEST.match(data) is not None
        if not self._refusal:
            self._unanswered = self._speaks_http
            if (
                self._speaks_http
                and self._keeper is not None
                and (self._stream is None or self._stream.is_over)
            ):
                self._stream = EventStream(data) if self._keeper.keeps(data) else None
                self._heard = now()
            super().data_received(data)
        elif not self._write_ended:
            self._answer_refusal()

    def write(self, data: bytes) -> None:
        """Hand the client what came from the environment."""
        if self._unanswered:
            self._unanswered = False
            self._speaks_http = not data.startswith(UPGRADED)
        if self._stream is None:
            super().write(data)
        else:
            self._write_events(self._stream, data)

    def end_writing(self) -> None:
        """The environment has ended its direction; to end without an answer is to lose the request."""
        if self._unanswered or self._is_kept:
            self.lose()
        else:
            super().end_writing()

    def lose(self) -> None:
        """What the client was spliced to is gone."""
        if self._is_kept:
            self._part()
            self._answered.set()
            if not self._interrupted:
                self._interrupted = True
                self._on_interrupted(self)
        elif self._unanswered:
            self.refuse(HTTPStatus.BAD_GATEWAY, UNANSWERED)
        else:
            super().lose()

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer the client's request with an error and end the connection; what is no HTTP is reset."""
        if self.closed or self._refusal:
            return
        self._refusal = refusal(status, reason)
        self._part()
        if self._unanswered:
            self._answer_refusal()
        else:
            self._reset_in(ASKING_SECONDS)
        self.resume_reading()

    def tell(self, message: str) -> None:
        """Show the client's user a message, where its stream is kept and there is no way to ask for anything else."""
        if self._is_kept and self._stream is not None and self._keeper is not None:
            super().write(chunk(self._keeper.tell(self._stream.request, message)))

    async def go_on(self, greeting: str = "") -> None:
        """Go on with the stream over the connection that there is now, and tell the client what it has missed.

        Its user is shown the greeting first.
        Raises ConnectionLostError when that connection is lost before all is told; there may be another.
        """
        stream, keeper = self._stream, self._keeper
        if stream is None or keeper is None:
            return
        silent = max(present - heard for present, heard in zip(now(), self._heard, strict=True))
        self._answered.clear()
        self._waiting.clear()
        request = self._request_again(stream)
        if self.other is None:
            raise ConnectionLostError("The connection was lost at once.")
        self.other.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._answered.wait()
        except TimeoutError:
            self._part()
        # What comes from now on waits: it may tell of what happened after that which was missed.
        missed = await in_thread(lambda: keeper.mend(stream.request, silent)) if stream.answers else ()
        greeted = keeper.tell(stream.request, greeting) if greeting else b""
        if self.other is None:
            raise ConnectionLostError("The stream of events was not answered, or lost again.")
        self._interrupted = False
        super().write(chunk(greeted + b"".join(missed)) + self._waiting)
        self._waiting.clear()
        self.other.begin()

    def _request_again(self, stream: EventStream) -> bytes:
        return stream.restart()

    def _note_time(self) -> None:
        self._heard = now()

    @property
    def _is_kept(self) -> bool:
        """Whether the client's answer can go on over another connection."""
        is_there = not self.closed and not self._read_ended
        return is_there and self._stream is not None and self._stream.can_go_on

    def _write_events(self, stream: EventStream, data: bytes) -> None:
        try:
            piece = stream.receive(data)
        except ConnectionLostError as error:
            log.debug("A stream of events was interrupted: %s", error)
            self.lose()
            return
        if piece.events and self._keeper is not None:
            self._keeper.note(piece.events)
        if not self._interrupted:
            self._heard = now()
            super().write(piece.encode())
            return
        super().write(piece.plain)
        self._waiting += piece._replace(plain=b"").encode()
        if self.other is not None and (stream.answers or stream.is_over):
            self._answered.set()
            self.other.pause_reading()

    def eof_received(self) -> bool:
        """Hand on the end of input; a client that waits for a stream to go on has no more use for it."""
        if self._interrupted:
            self.reset()
            return True
        return super().eof_received()

    def _part(self) -> None:
        far, self.other = self.other, None
        if far is not None:
            far.other = None
            far.reset()

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
        """The client is gone."""
        self._forget_timer()
        super().connection_lost(error)


def now() -> tuple[float, float]:
    """The time by two clocks: one that stands still while the machine sleeps, and one that may be set."""
    return time.monotonic(), time.time()
