"""The local client's end of a tunnel.

An HTTP client whose request cannot be answered gets an HTTP error: a reset would give no reason, and not show
whether the request may be repeated.
"""

import asyncio
import json
import re
from collections.abc import Callable
from http import HTTPStatus

from ocattach.errors import LINK_ERROR
from ocattach.tunnel.splice import SpliceEndpoint

REQUEST = re.compile(rb"[A-Z]{3,7} /")
"""The start of an HTTP/1 request."""

CHALLENGE = 'WWW-Authenticate: Basic realm="ocattach"\r\n'
"""With which a browser asks its user for a name and a password (RFC 7617)."""

UPGRADED = b"HTTP/1.1 101"
"""The start of an answer after which a connection no longer carries HTTP (WebSockets)."""

REQUEST_SECONDS = 1.0
"""Time for a client that is refused to send its request, which the error then answers."""

LINGER_SECONDS = 1.0
"""Time for a refused client to read the error before its connection is reset."""

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
    """

    def __init__(
        self, on_connected: Callable[["Client"], None], on_closed: Callable[[SpliceEndpoint], None]
    ) -> None:
        super().__init__(on_closed=on_closed)
        self._on_connected = on_connected
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
            if self._speaks_http:
                self._inspect(data)
            super().data_received(data)
        elif not self._write_ended:
            self._answer_refusal()

    def _inspect(self, data: bytes) -> None:
        """Called with what a client that speaks HTTP has sent, before it is forwarded."""

    def write(self, data: bytes) -> None:
        if self._unanswered:
            self._unanswered = False
            self._speaks_http = not data.startswith(UPGRADED)
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        super().write(data)

    def end_writing(self) -> None:
        """Handle the end of the environment's output, which is a loss if the client waits for an answer."""
        if self._unanswered:
            self.lose()
        else:
            super().end_writing()

    def lose(self) -> None:
        """Handle the loss of the connection that the client is spliced to."""
        if self._unanswered:
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
        self._forget_timer()
        super().connection_lost(error)
