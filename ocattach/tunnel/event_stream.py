"""A client's stream of events across several connections. Bytes in, bytes out; no I/O.

A client that is reset repeats its request, some after growing pauses, and none queries the events it has missed.
Therefore the client's answer stays open: the same request is sent over the next connection, and the new answer's
events continue the old one. They have to continue at the start of an event, so HTTP's chunks are decoded, and
encoded again around whole events.
"""

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

from ocattach.errors import ConnectionLostError

HEAD_LIMIT = 16 * 1024
SIZE_LIMIT = 1024
"""The maximum length of a chunk's first line, in bytes."""

EVENT_LIMIT = 1024 * 1024
"""The longest event that is buffered, in bytes; a longer one is forwarded in pieces."""

PROTOCOL = b"HTTP/1."
STATUS = (b"HTTP/1.1 200 ", b"HTTP/1.1 200\r\n")
REQUIRED = (b"\r\ncontent-type: text/event-stream", b"\r\ntransfer-encoding: chunked\r\n")
FORBIDDEN = b"\r\ncontent-encoding:"
HEAD_END = b"\r\n\r\n"
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
CHUNK_END = b"\r\n"
EVENT_END = b"\n\n"


class StreamResumer(Protocol):
    """Decides which streams of events are resumed after a loss, and replays what was missed."""

    def handles(self, request: bytes) -> bool:
        """Return whether this is a complete request for such a stream. Called with everything clients send."""

    def observe(self, events: bytes) -> None:
        """Inspect events that were sent to a client: whole ones, or the rest of one that was too long."""

    def learn(self, request: bytes) -> None:
        """Remember the head of an admitted request, without credentials, that the daemon answered with 2xx."""

    def replay(self, request: bytes, silent: float) -> Sequence[bytes]:
        """Return the events that a client has missed, each with its end; `silent` is the gap in seconds.

        Called on a separate thread; has to return within seconds.
        """

    def greet(self, request: bytes) -> Iterator[bytes]:
        """Yield events, each with its end, for a client whose stream has begun. Each is sent before the next step.

        Iterated on a separate thread.
        """

    def message_event(self, request: bytes, message: str) -> bytes:
        """Return the event, with its end, that shows the client's user a message."""


class Stage(Enum):
    """The part of an answer that the next bytes belong to."""

    HEAD = auto()
    EVENTS = auto()
    OTHER = auto()


class Piece(NamedTuple):
    """Data to send to the client, in this order."""

    plain: bytes = b""
    """Sent unchanged."""

    events: bytes = b""
    """Sent as one chunk."""

    rest: bytes = b""
    """Sent unchanged after the last event."""

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return self.plain + chunk(self.events) + self.rest


class EventStream:
    """Joins the answers to one request for events into one; any other answer is forwarded unchanged."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self._stage = Stage.HEAD
        self._begun = False
        self._between = True
        self._raw = bytearray()
        self._chunk_left = 0
        self._events = bytearray()

    @property
    def can_resume(self) -> bool:
        """Whether another connection can continue exactly here."""
        return self._between if self._begun else self._stage is Stage.HEAD

    @property
    def has_begun(self) -> bool:
        """Whether the client has received the head of a stream of events."""
        return self._begun

    @property
    def answers(self) -> bool:
        """Whether events have begun on this connection."""
        return self._stage is Stage.EVENTS

    @property
    def is_over(self) -> bool:
        """Whether the rest is not a stream of events, and is forwarded unchanged."""
        return self._stage is Stage.OTHER

    def restart(self) -> bytes:
        """Reset the parser and return the request to send over another connection."""
        self._stage = Stage.HEAD
        self._raw.clear()
        self._events.clear()
        self._chunk_left = 0
        return self.request

    def receive(self, data: bytes) -> Piece:
        """Parse data and return what can be sent to the client now.

        Raises ConnectionLostError when the data cannot continue the stream.
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
            raise ConnectionLostError("The new answer is not a stream of events.")
        self._stage = Stage.OTHER
        data = bytes(self._raw)
        self._raw.clear()
        return data

    def _take_chunks(self) -> bool:
        """Decode chunks into `_events`; return False after the size of the last chunk."""
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
    """Encode data as an HTTP chunk; no data gives nothing, since an empty chunk would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def chunk_size(line: bytes) -> int:
    """Parse the size in a chunk's first line. Raises ConnectionLostError if there is none."""
    digits = line.partition(b";")[0].strip()
    if not CHUNK_SIZE.fullmatch(digits):
        raise ConnectionLostError("The chunks of a stream of events are malformed.")
    return int(digits, 16)


def is_event_stream(head: bytes) -> bool:
    """Return whether an answer's head announces events, chunked and not compressed."""
    lower = head.lower()
    return head.startswith(STATUS) and all(field in lower for field in REQUIRED) and FORBIDDEN not in lower
