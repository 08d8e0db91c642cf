"""Parses the HTTP requests of one connection to a gate, and writes them again in one form."""

from dataclasses import dataclass, field
from http import HTTPStatus

import h11

HEAD_LIMIT = 64 * 1024
"""The longest head of a request that is taken, in bytes."""


class RefusedError(Exception):
    """A request that is not sent on. The client gets the status and the reason, or instead the whole `answer`."""

    def __init__(self, status: HTTPStatus, reason: str, *, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.answer = answer


def new_parser() -> h11.Connection:
    """A parser for one request."""
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)


@dataclass(slots=True)
class RequestReader:
    """Parses the requests of one connection: the head of each, then its body.

    h11 parses each request, and the head that is forwarded is serialized from the result, so that the daemon cannot
    interpret it differently.
    """

    _parser: h11.Connection = field(default_factory=new_parser)
    _rest: bytearray = field(default_factory=bytearray)
    """What the parser does not read: a body of known length, and whatever follows a request to upgrade."""

    _left: int = 0
    """Bytes of a body of known length that have yet to come."""

    _is_fed: bool = False
    """The parser has data that it has not looked at."""

    _wants_upgrade: bool = False
    _is_waiting: bool = False
    """A request to upgrade is complete, and not answered."""

    _is_raw: bool = False
    """What follows is another protocol."""

    def receive(self, data: bytes) -> None:
        """Take what the client sent; never nothing."""
        if self._left or self._is_waiting or self._is_raw:
            self._rest += data
        else:
            self._feed(data)

    def answered(self, *, upgraded: bool) -> None:
        """Continue after a response; `upgraded` says that another protocol follows."""
        if not self._is_waiting:
            return
        self._is_waiting, self._is_raw = False, upgraded
        if not upgraded:
            rest, self._rest = bytes(self._rest), bytearray()
            self._restart(rest)

    def _restart(self, rest: bytes) -> None:
        self._parser, self._is_fed = new_parser(), False
        if rest:
            self._feed(rest)

    def _feed(self, data: bytes) -> None:
        self._parser.receive_data(data)
        self._is_fed = True

    def take(self) -> h11.Request | bytes | None:
        """A head, or bytes of a body as they are sent on; None when more has to come.

        Raises RefusedError for what is not HTTP, or ambiguous.
        """
        if self._left or self._is_raw:
            return self._take_unparsed()
        if self._is_waiting or not self._is_fed:
            return None
        try:
            event = self._parser.next_event()
        except h11.RemoteProtocolError as error:
            raise RefusedError(
                HTTPStatus(error.error_status_hint), f"This port only takes HTTP requests: {error}"
            ) from error
        match event:
            case h11.Request():
                self._begin(event)
                return event
            case h11.Data():
                return b"%x\r\n%b\r\n" % (len(event.data), event.data)
            case h11.EndOfMessage():
                rest, _ = self._parser.trailing_data
                self._end(rest)
                return b"0\r\n%b\r\n" % b"".join(
                    b"%b: %b\r\n" % header for header in event.headers.raw_items()
                )
            case _:
                self._is_fed = False
                return None

    def _begin(self, request: h11.Request) -> None:
        headers = Headers(request)
        coding, length = headers.only(b"transfer-encoding"), headers.only(b"content-length")
        if coding is not None and length is not None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The request has two lengths")
        self._wants_upgrade = headers.only(b"upgrade") is not None
        if coding is None:  # counting is enough for the body; h11 has checked its length
            rest, _ = self._parser.trailing_data
            self._left = int(length or 0)
            if self._left:
                self._rest += rest
            else:
                self._end(rest)

    def _take_unparsed(self) -> bytes | None:
        data = bytes(self._rest if self._is_raw else self._rest[: self._left])
        del self._rest[: len(data)]
        if self._left:
            self._left -= len(data)
            if not self._left:
                rest, self._rest = bytes(self._rest), bytearray()
                self._end(rest)
        return data or None

    def _end(self, rest: bytes) -> None:
        self._is_waiting = self._wants_upgrade
        if self._is_waiting:
            self._rest += rest
        else:
            self._restart(rest)


def encode_head(request: h11.Request, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A head as it is sent."""
    lines = [b"%b %b HTTP/%b" % (request.method, target, request.http_version)]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Headers:
    """The headers of a request by their names, which are given in lower case."""

    def __init__(self, request: h11.Request) -> None:
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in request.headers.raw_items():
            self._values.setdefault(name.lower(), []).append(value)

    def only(self, name: bytes) -> bytes | None:
        """The value of a header, None without it. Raises RefusedError when it is there more than once."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"The request has several headers {name.decode()}")
        return values[0]
