"""The end of a tunnel that a local client is on.

An HTTP client whose request cannot be answered is told so: a bare reset says neither why nor whether to ask again.
"""

import asyncio
import json
import re
from collections.abc import Callable
from http import HTTPStatus

from ocattach.tunnel.splice import End

REQUEST = re.compile(rb"[A-Z]{3,7} /")
"""How a request of HTTP/1 begins."""

UPGRADED = b"HTTP/1.1 101"
"""What ends the HTTP on a connection (WebSockets)."""

ASKING_SECONDS = 1.0
"""How long a client that is to be refused may take to send the request that the refusal answers."""

LINGER_SECONDS = 1.0
"""How long a refused client may take to read the refusal before its connection is reset."""

UNANSWERED = "The connection was lost before OpenCode answered. It may have received this request."


def refusal(status: HTTPStatus, reason: str) -> bytes:
    """An HTTP answer that gives the reason as OpenCode's own errors do: a name, and data with a message."""
    body = json.dumps({"name": "LinkError", "data": {"message": reason}}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class Client(End):
    """A local client; it is not read before it has been spliced.

    When what it is spliced to goes away in the middle of an answer it is reset, as that server would have reset it.
    When no byte of an answer has come yet, it gets an HTTP error instead: 502, since the request may have arrived.
    """

    def __init__(self, on_connected: Callable[["Client"], None], on_closed: Callable[[End], None]) -> None:
        super().__init__(on_closed=on_closed)
        self._on_connected = on_connected
        self._speaks_http: bool | None = None
        self._unanswered = False
        self._refusal = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and tell that somebody is there."""
        super().connection_made(transport)
        self.pause_reading()
        self._on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what the client sent; of a client that is being refused only the first words matter."""
        if self._speaks_http is None:
            self._speaks_http = REQUEST.match(data) is not None
        if not self._refusal:
            self._unanswered = self._speaks_http
            super().data_received(data)
        elif not self._write_ended:
            self._answer_refusal()

    def write(self, data: bytes) -> None:
        """Hand the client what came from the environment."""
        if self._unanswered:
            self._unanswered = False
            self._speaks_http = not data.startswith(UPGRADED)
        super().write(data)

    def end_writing(self) -> None:
        """The environment has ended its direction; to end without an answer is to lose the request."""
        if self._unanswered:
            self.lose()
        else:
            super().end_writing()

    def lose(self) -> None:
        """What the client was spliced to is gone."""
        if self._unanswered:
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
