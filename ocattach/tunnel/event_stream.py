"""A client's stream of events, which outlives the connections that bring it. Bytes in, bytes out; no I/O.

A client that is reset asks again, but some only after a time that grows with each reset, and none asks for what
happened meanwhile. So the stream is not ended: the same request is sent over the next connection, and the events of
its answer go on in the answer that the client has. They have to go on where an event begins: the chunks of HTTP's
transfer coding are taken off, and put on again around whole events.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

from ocattach.errors import ConnectionLostError

HEAD_LIMIT = 16 * 1024
SIZE_LIMIT = 1024
"""How long a chunk's first line may be."""

EVENT_LIMIT = 1024 * 1024
"""The longest event that is waited for, in bytes; what is longer is handed on in pieces."""

PROTOCOL = b"HTTP/1."
STATUS = (b"HTTP/1.1 200 ", b"HTTP/1.1 200\r\n")
REQUIRED = (b"\r\ncontent-type: text/event-stream", b"\r\ntransfer-encoding: chunked\r\n")
FORBIDDEN = b"\r\ncontent-encoding:"
HEAD_END = b"\r\n\r\n"
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
CHUNK_END = b"\r\n"
EVENT_END = b"\n\n"


class StreamResumer(Protocol):
    """Who knows which requests ask for events that a client cannot do without, and how to make up for lost ones."""

    def keeps(self, request: bytes) -> bool:
        """Whether what a client sent is a whole request for such a stream. Called for whatever clients send."""

    def learn(self, request: bytes) -> None:
        """Remember a request, without its credentials, that passed the gate and was answered with success."""

    def note(self, events: bytes) -> None:
        """Look at what was handed to a client: whole events, after one that was too long perhaps the rest of it."""

    def mend(self, request: bytes, silent: float) -> Sequence[bytes]:
        """The events that tell a client what it has missed, each with its end; it got nothing for so many seconds.

        Called on a thread; has to return within seconds, whatever happens.
        """

    def tell(self, request: bytes, message: str) -> bytes:
        """The event that shows a client's user a message, with its end."""


class Stage(Enum):
    """What the next bytes are."""

    HEAD = auto()
    EVENTS = auto()
    OTHER = auto()


class Piece(NamedTuple):
    """What to hand to the client, in this order."""

    plain: bytes = b""
    """As it is."""

    events: bytes = b""
    """In a chunk of their own."""

    rest: bytes = b""
    """As it is, after the last event."""

    def encode(self) -> bytes:
        """All of it as it travels."""
        return self.plain + chunk(self.events) + self.rest


class EventStream:
    """The answers to one request for events, made one.

    What turns out to be another answer is handed on as it is.
    """

    def __init__(self, request: bytes) -> None:
        self.request = request
        self._stage = Stage.HEAD
        self._begun = False
        self._between = True
        self._raw = bytearray()
        self._chunk_left = 0
        self._events = bytearray()

    @property
    def can_go_on(self) -> bool:
        """Whether another connection can bring the rest without a seam."""
        return self._between if self._begun else self._stage is Stage.HEAD

    @property
    def answers(self) -> bool:
        """Whether this connection has begun to bring events."""
        return self._stage is Stage.EVENTS

    @property
    def is_over(self) -> bool:
        """Whether what comes from now on is something else, and is handed on as it is."""
        return self._stage is Stage.OTHER

    def restart(self) -> bytes:
        """What to send over another connection, to go on there."""
        self._stage = Stage.HEAD
        self._raw.clear()
        self._events.clear()
        self._chunk_left = 0
        return self.request

    def receive(self, data: bytes) -> Piece:
        """What can be handed to the client now.

        Raises ConnectionLostError when it cannot go on with what the connection brings.
        """
        if self._stage is Stage.OTHER:
            return Piece(data)
        self._raw += data
        plain = self._take_head() if self._stage is Stage.HEAD else b""
        if self._stage is not Stage.EVENTS:
            return Piece(plain)
        more = self._take_chunks()
        events = self._take_events()
        if more:
            return Piece(plain, events)
        self._stage = Stage.OTHER
        self._between = False
        last = Piece(plain, events + self._events, b"0\r\n" + self._raw)
        self._raw.clear()
        return last

    def _take_head(self) -> bytes:
        end = self._raw.find(HEAD_END)
        is_http = self._raw.startswith(PROTOCOL[: len(self._raw)])
        if end < 0 and is_http and len(self._raw) <= HEAD_LIMIT:
            return b""
        head = bytes(self._raw[: end + len(HEAD_END)]) if end >= 0 else b""
        if is_event_stream(head):
            del self._raw[: len(head)]
            self._stage = Stage.EVENTS
            if self._begun:
                return b""
            self._begun = True
            return head
        if self._begun:
            raise ConnectionLostError("What answers is no stream of events any more.")
        self._stage = Stage.OTHER
        data = bytes(self._raw)
        self._raw.clear()
        return data

    def _take_chunks(self) -> bool:
        """Move what is in chunks to the events; whether more can come, after the last one's size is taken off."""
        while self._raw:
            if self._chunk_left:  # its end included
                content = min(self._chunk_left - len(CHUNK_END), len(self._raw))
                if content > 0:
                    self._events += self._raw[:content]
                    self._chunk_left -= content
                    del self._raw[:content]
                elif len(self._raw) >= self._chunk_left:
                    del self._raw[: self._chunk_left]
                    self._chunk_left = 0
                else:
                    break
            else:
                end = self._raw.find(CHUNK_END)
                if end < 0 and len(self._raw) <= SIZE_LIMIT:
                    break
                size = chunk_size(bytes(self._raw[: max(end, 0)]))
                del self._raw[: end + len(CHUNK_END)]
                if size == 0:
                    return False
                self._chunk_left = size + len(CHUNK_END)
        return True

    def _take_events(self) -> bytes:
        end = self._events.rfind(EVENT_END)
        if end >= 0:
            self._between = True
            end += len(EVENT_END)
        elif len(self._events) > EVENT_LIMIT:
            self._between = False
            end = len(self._events)
        else:
            return b""
        events = bytes(self._events[:end])
        del self._events[:end]
        return events


def chunk(data: bytes) -> bytes:
    """Data as a chunk of HTTP's transfer coding; nothing for nothing, which would be the last chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def chunk_size(line: bytes) -> int:
    """What a chunk's first line says. Raises ConnectionLostError for anything else."""
    digits = line.partition(b";")[0].strip()
    if not CHUNK_SIZE.fullmatch(digits):
        raise ConnectionLostError("The chunks of a stream of events are malformed.")
    return int(digits, 16)


def is_event_stream(head: bytes) -> bool:
    """Whether the head of an answer says that events follow, in chunks and not compressed."""
    lower = head.lower()
    return head.startswith(STATUS) and all(field in lower for field in REQUIRED) and FORBIDDEN not in lower
