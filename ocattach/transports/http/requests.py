"""Changing the head of each request on a connection, and nothing else that passes through it.

Heads are read to find out where the next one begins (RFC 9112, sections 6 and 7.1); answers need no looking at.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from ocattach.errors import ConnectionLostError
from ocattach.opencode.endpoint import Endpoint, basic_authorization

MAX_HEAD = 64 * 1024
MAX_LINE = 1024
END_OF_HEAD = b"\r\n\r\n"
END_OF_LINE = b"\r\n"
REQUEST_LINE = re.compile(rb"([A-Z-]+) (/[!-~]*) (HTTP/1\.[01])")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request."""

    method: bytes
    path: bytes
    version: bytes
    headers: Headers

    def only(self, name: bytes) -> bytes:
        """The value of a header in lower case; empty where there is none. Raises ConnectionLostError for several."""
        values = [value.lower() for key, value in self.headers if key.lower() == name]
        if len(values) > 1:
            raise ConnectionLostError(f"A client sent several headers called {name.decode()}")
        return values[0] if values else b""

    def encode(self) -> bytes:
        """The head as it is sent."""
        lines = [b"%s %s %s" % (self.method, self.path, self.version)]
        lines += [b"%s: %s" % header for header in self.headers]
        return END_OF_LINE.join(lines) + END_OF_HEAD


def parse_head(data: bytes) -> Head:
    """A head without its empty line. Raises ConnectionLostError for what is none."""
    first, *lines = data.split(END_OF_LINE)
    request = REQUEST_LINE.fullmatch(first)
    if request is None:
        raise ConnectionLostError("A client sent what is no HTTP request")
    headers = []
    for line in lines:
        header = HEADER.fullmatch(line)
        if header is None:
            raise ConnectionLostError("A client sent what is no HTTP header")
        headers.append((header[1], header[2]))
    return Head(request[1], request[2], request[3], headers)


class HeaderInjector:
    """What is changed in a request so that it is one to the URL of a connection.

    The password of the local port stays here; who does not know it gets neither the real one nor the headers,
    and so no more than he would get at the URL by himself.
    """

    def __init__(self, endpoint: Endpoint, *, username: str, password: str, local_password: str) -> None:
        self.endpoint = endpoint
        self._expected = authorization(username, local_password)
        self._real = authorization(username, password)

    def __call__(self, head: Head) -> Head:
        """The head as the URL's server wants it."""
        given = next((value for name, value in head.headers if name.lower() == b"authorization"), b"")
        knows = self._expected is None or hmac.compare_digest(given, self._expected)
        ours: Headers = [(b"Host", self.endpoint.authority.encode())]
        if knows:
            ours = [(name.encode(), value.encode()) for name, value in self.endpoint.fixed_headers]
            ours += [(b"Authorization", self._real)] if self._real else []
        replaced = {b"authorization", *(name.lower() for name, _ in ours)}
        kept = [(name, value) for name, value in head.headers if name.lower() not in replaced]
        return Head(
            head.method, self.endpoint.request_prefix.encode() + head.path, head.version, [*ours, *kept]
        )


def authorization(username: str, password: str) -> bytes | None:
    """The value of the Authorization header; None without a password."""
    return basic_authorization(username, password).encode() if password else None


class Requests:
    """The bytes that a client sends on one connection, with each head changed; bodies pass as they are."""

    def __init__(self, change: Callable[[Head], Head]) -> None:
        self._change = change
        self._kept = bytearray()
        self._left = 0
        self._step = self._head
        self._after_body = self._head

    def feed(self, data: bytes) -> bytes:
        """What is to be sent on for the next bytes. Raises ConnectionLostError for what is no HTTP."""
        self._kept += data
        pieces = []
        while self._kept:
            piece = self._step()
            if piece is None:
                break
            pieces.append(piece)
        return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._kept[:size])
        del self._kept[:size]
        return taken

    def _head(self) -> bytes | None:
        end = self._kept.find(END_OF_HEAD)
        if end < 0 or end > MAX_HEAD:
            if len(self._kept) > MAX_HEAD:
                raise ConnectionLostError(f"A client sent a head of more than {MAX_HEAD} bytes")
            return None
        head = parse_head(self._take(end + len(END_OF_HEAD))[: -len(END_OF_HEAD)])
        self._expect_body(head)
        return self._change(head).encode()

    def _expect_body(self, head: Head) -> None:
        """Be ready for what comes after a head."""
        coding, length = head.only(b"transfer-encoding"), head.only(b"content-length")
        if head.only(b"upgrade") or head.method == b"CONNECT":
            self._step = self._anything
        elif coding:
            if coding != b"chunked" or length:
                raise ConnectionLostError("A client sent a request whose end cannot be told")
            self._step = self._chunk
        elif length:
            if not length.isdigit():
                raise ConnectionLostError("A client sent a request whose length is no number")
            self._left, self._step, self._after_body = int(length), self._body, self._head

    def _body(self) -> bytes:
        piece = self._take(self._left)
        self._left -= len(piece)
        if not self._left:
            self._step = self._after_body
        return piece

    def _chunk(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        size = CHUNK.fullmatch(line)
        if size is None:
            raise ConnectionLostError("A client sent a chunk without a size")
        self._left = int(size[1], 16) + len(END_OF_LINE)
        last = self._left == len(END_OF_LINE)
        self._step, self._after_body = (self._trailer, self._head) if last else (self._body, self._chunk)
        return line

    def _trailer(self) -> bytes | None:
        line = self._line()
        if line == END_OF_LINE:
            self._step = self._head
        return line

    def _line(self) -> bytes | None:
        end = self._kept.find(END_OF_LINE)
        if end < 0:
            if len(self._kept) > MAX_LINE:
                raise ConnectionLostError(f"A client sent a line of more than {MAX_LINE} bytes")
            return None
        return self._take(end + len(END_OF_LINE))

    def _anything(self) -> bytes:
        return self._take(len(self._kept))
