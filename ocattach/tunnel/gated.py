"""The client end of a tunnel with a gate: parses and checks each HTTP request before it is forwarded."""

import asyncio
from dataclasses import dataclass
from functools import cached_property

from ocattach.tunnel.browser import carries_cookie
from ocattach.tunnel.client import UPGRADED, refusal
from ocattach.tunnel.event_stream import EventStream
from ocattach.tunnel.gate import Gate, Upstream, encode_without_credentials
from ocattach.tunnel.request import RefusedError, Request
from ocattach.tunnel.requests import RequestReader
from ocattach.tunnel.resumable import ResumableClient, now

SUCCESS = (b"HTTP/1.1 2", b"HTTP/1.0 2")

HEAD_SECONDS = 10.0
"""How long a client may take to send the head of its first request."""

MOST_REPEATS = 3
"""How often a request is sent again. A daemon that closes the connection each time does not answer it."""

GIVE_UP_SECONDS = 5.0
"""How long a client that has ended its input may wait for a connection: it has probably given up."""


@dataclass
class Admitted:
    """A request that passed the gate."""

    request: Request

    @cached_property
    def head(self) -> bytes:
        """Its head without credentials, for the resumer."""
        return encode_without_credentials(self.request)

    @property
    def only_reads(self) -> bool:
        """Whether the request can be sent twice: it has no body and changes nothing (RFC 9110, 9.2.1)."""
        framing = {b"content-length", b"transfer-encoding", b"upgrade"}
        return self.request.method in {b"GET", b"HEAD"} and not framing & self.request.fields.keys()


class GatedClient(ResumableClient):
    """A local client whose every request has to pass the gate.

    Only the head of the first request is read before the client is spliced to a connection.
    """

    def __init__(self, gate: Gate, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # those of a client
        self.upstream = Upstream()
        """What the present route needs of a request; set before `begin`."""
        self._gate = gate
        self._has_begun = False
        """Whether the current request may be sent over the present connection."""
        self._reader = RequestReader()
        self._current: Admitted | None = None
        self._first = asyncio.Event()
        self._is_pipelined = False
        self._repeats = 0

    def _await_connection(self) -> None:
        """Read on: the first request has to come before there is a connection for it, within HEAD_SECONDS."""
        self._reset_in(HEAD_SECONDS)

    @property
    def is_browser(self) -> bool:
        """Whether the current request came with a cookie of this port."""
        return self._current is not None and carries_cookie(self._current.request)

    async def admitted(self) -> bool:
        """Wait for the first request. Returns whether it passed the gate; if not, the client was refused or reset."""
        await self._first.wait()
        return self._current is not None

    def connection_lost(self, error: Exception | None) -> None:
        self._first.set()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Parse the client's data and forward what passes the gate."""
        if self._refusal:
            return  # read only so that the refusal is not lost
        if self._speaks_http is None:
            self._speaks_http = data[:1].isupper()  # as every method is; not TLS, for one
            if not self._speaks_http:
                self.reset()
                return
        if self._current is not None and not self._can_advance:
            self.pause_reading()  # what was read waits for a connection or a response
        self._reader.receive(data)
        self._advance()

    def eof_received(self) -> bool:
        """Forward the end of input. A client that waits for a connection meanwhile has given up."""
        if self._current is None or self._is_repeating:
            self.reset()
        elif self.other is None or self._is_preparing:
            self._read_ended = True
            if self.other is None:
                self._reset_in(GIVE_UP_SECONDS)
        else:
            return super().eof_received()
        return True

    def begin(self) -> None:
        """Send the request that waited for a connection, and read on."""
        self._has_begun = True
        self._forget_timer()
        if self._current is not None:
            self._send_head(self._current)
        self._advance()
        self._end_request()
        self._read_on()

    def _read_on(self) -> None:
        super().begin()

    def _end_request(self) -> None:
        """Forward the end of input after what was sent before it."""
        if self._read_ended and self.other is not None and not self._is_preparing:
            self.other.end_writing()

    def write(self, data: bytes) -> None:
        """Send the client data from the environment; the resumer learns only requests that were answered with 2xx."""
        answered = self._current if self._unanswered else None
        if answered is not None:
            self._reader.answered(upgraded=data.startswith(UPGRADED))
        super().write(data)
        if answered is not None and self._resumer is not None and data.startswith(SUCCESS):
            self._resumer.learn(answered.head)
        if not self.is_interrupted:
            self._advance()

    def lose(self) -> None:
        """Handle the loss of the connection; a request that only reads is sent again over the next one."""
        if not self._can_repeat:
            super().lose()
            return
        self._repeats += 1
        self._wait()
        self._on_interrupted(self)

    def _wait(self) -> None:
        self._has_begun = False
        self.detach()
        self.resume_reading()  # to notice a client that gives up

    @property
    def _can_wait(self) -> bool:
        return self._unanswered and not self.closed and not self._read_ended and not self._can_resume

    @property
    def _is_repeating(self) -> bool:
        """Whether the connection was lost under the current request."""
        return self._repeats > 0

    @property
    def _is_preparing(self) -> bool:
        """Whether the client waits for the response to a request that has yet to be sent."""
        return False

    @property
    def _can_repeat(self) -> bool:
        return (
            self._can_wait
            and self._current is not None
            and self._current.only_reads
            and not self._is_pipelined
            and self._repeats < MOST_REPEATS
        )

    def _advance(self) -> None:
        try:
            while self._can_advance:
                taken = self._reader.take()
                if taken is None:
                    return
                if isinstance(taken, bytes):
                    self._forward(taken)
                else:
                    self._admit(taken)
        except RefusedError as error:
            self._refuse_request(error)

    @property
    def _can_advance(self) -> bool:
        return not self._refusal and (self._current is None or self._has_begun)

    def _forward(self, body: bytes) -> None:
        if self.other is not None:
            self.other.write(body)

    def _admit(self, request: Request) -> None:
        self._gate.check(request)
        is_first = self._current is None
        self._current = Admitted(request)
        self._repeats = 0
        self._begin_request(request, is_first=is_first)
        if is_first:
            self._forget_timer()
            self._unanswered = True
            self._first.set()
        else:
            self._is_pipelined = self._is_pipelined or self._unanswered
            self._send_head(self._current)

    def _begin_request(self, request: Request, *, is_first: bool) -> None:
        """Called with each admitted request before it is sent."""

    def _refuse_request(self, error: RefusedError) -> None:
        if self._unanswered and self._current is not None:
            self.reset()  # a response now would be taken for that of the previous request
            return
        self._unanswered = True
        self.end_with(error.answer or refusal(error.status, error.reason))
        self._first.set()

    def _send_head(self, admitted: Admitted) -> None:
        self._unanswered = True
        self._send(self._gate.encode(admitted.request, self.upstream))  # before what can be done meanwhile
        if self._resumer is not None and (self._stream is None or self._stream.is_over):
            self._stream = EventStream(admitted.head) if self._resumer.handles(admitted.head) else None
            self._last_received = now()

    def _send(self, head: bytes) -> None:
        self._forward(head)

    def _request_again(self, stream: EventStream) -> bytes:
        super()._request_again(stream)
        return b"" if self._current is None else self._gate.encode(self._current.request, self.upstream)
