"""The client end of a tunnel with a gate: parses and checks each HTTP request before it is forwarded."""

import asyncio
from typing import NamedTuple

import h11

from ocattach.tunnel.client import SUCCESS, UPGRADED, Client
from ocattach.tunnel.event_stream import EventStream
from ocattach.tunnel.gate import Gate, RefusedError, RequestReader, Upstream, encode_head

HEAD_SECONDS = 10.0
"""How long a client may take to send the head of its first request."""

MOST_REPEATS = 3
"""How often a request is sent again. A daemon that closes the connection each time does not answer it."""


class Admitted(NamedTuple):
    """A request that passed the gate."""

    request: h11.Request
    head: bytes
    """Its head without credentials, for the resumer."""

    @property
    def only_reads(self) -> bool:
        """Whether the request can be sent twice: it has no body and changes nothing (RFC 9110, 9.2.1)."""
        framing = {b"content-length", b"transfer-encoding", b"upgrade"}
        names = {name for name, _ in self.request.headers}
        return self.request.method in {b"GET", b"HEAD"} and not names & framing


class GatedClient(Client):
    """A local client whose every request has to pass the gate.

    Only the head of the first request is read before the client is spliced to a connection.
    """

    def __init__(self, gate: Gate, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # those of a client
        self.upstream = Upstream()
        """What the present route needs of a request; set before `begin`."""

        self._gate = gate
        self._reader = RequestReader()
        self._current: Admitted | None = None
        self._first = asyncio.Event()
        self._is_pipelined = False
        self._repeats = 0

    async def admitted(self) -> bool:
        """Wait for the first request. Returns whether it passed the gate; if not, the client was refused or reset."""
        if self._current is None:
            self.resume_reading()
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                await self._first.wait()
        except TimeoutError:
            self.reset()
        return self._current is not None

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
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
        self._reader.receive(data)
        if self._current is not None and self.other is None:
            self.pause_reading()  # what was read waits for a connection
        self._advance()

    def eof_received(self) -> bool:
        """Forward the end of input. A client that waits for a connection has given up."""
        if self.other is None:
            self.reset()
            return True
        return super().eof_received()

    def begin(self) -> None:
        """Send the request that waited for a connection, and read on."""
        if self._current is not None:
            self._send_head(self._current)
        self._advance()
        super().begin()

    def write(self, data: bytes) -> None:
        """Send the client data from the environment; the resumer learns only requests that were answered with 2xx."""
        if self._unanswered and self._current is not None:
            self._reader.answered(upgraded=data.startswith(UPGRADED))
            if self._resumer is not None and data.startswith(SUCCESS):
                self._resumer.learn(self._current.head)
        super().write(data)
        if not self._interrupted:
            self._advance()

    def lose(self) -> None:
        """Handle the loss of the connection; a request that only reads is sent again over the next one."""
        if not self._can_repeat:
            super().lose()
            return
        self._repeats += 1
        self._detach()
        self.resume_reading()  # to notice a client that gives up
        self._on_interrupted(self)

    @property
    def _can_repeat(self) -> bool:
        is_waiting = self._unanswered and not self.closed and not self._read_ended and not self._can_resume
        return (
            is_waiting
            and self._current is not None
            and self._current.only_reads
            and not self._is_pipelined
            and self._repeats < MOST_REPEATS
        )

    def _advance(self) -> None:
        try:
            while not self._refusal and (self._current is None or self.other is not None):
                taken = self._reader.take()
                if taken is None:
                    return
                if isinstance(taken, bytes):
                    self._forward(taken)
                else:
                    self._admit(taken)
        except RefusedError as error:
            self._refuse_request(error)

    def _forward(self, body: bytes) -> None:
        if self.other is not None:
            self.other.write(body)

    def _admit(self, request: h11.Request) -> None:
        self._gate.check(request)
        is_first = self._current is None
        headers = [each for each in request.headers.raw_items() if each[0].lower() != b"authorization"]
        self._current = Admitted(request, encode_head(request, request.target, headers))
        self._repeats = 0
        if is_first:
            self._unanswered = True
            self.pause_reading()
            self._first.set()
        else:
            self._is_pipelined = self._is_pipelined or self._unanswered
            self._send_head(self._current)

    def _refuse_request(self, error: RefusedError) -> None:
        if self._unanswered and self._current is not None:
            self.reset()  # a response now would be taken for that of the previous request
            return
        self._unanswered = True
        self.refuse(error.status, error.reason)
        self._first.set()

    def _send_head(self, admitted: Admitted) -> None:
        self._unanswered = True
        if self._resumer is not None and (self._stream is None or self._stream.is_over):
            self._stream = EventStream(admitted.head) if self._resumer.handles(admitted.head) else None
            self._note_time()
        self._forward(self._gate.encode(admitted.request, self.upstream))

    def _request_again(self, stream: EventStream) -> bytes:
        super()._request_again(stream)
        return b"" if self._current is None else self._gate.encode(self._current.request, self.upstream)
