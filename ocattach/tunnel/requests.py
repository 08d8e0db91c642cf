"""Parses the HTTP requests of one connection to a gate."""

from dataclasses import dataclass, field
from http import HTTPStatus

import h11

from ocattach.tunnel.request import RefusedError, Request

HEAD_LIMIT = 64 * 1024
"""The longest head of a request that is taken, in bytes."""


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

    _is_over: bool = False
    """The request ends with its head. What this needs is done when the head has been sent."""

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

    def take(self) -> Request | bytes | None:
        """A head, or bytes of a body as they are sent on; None when more has to come.

        Raises RefusedError for what is not HTTP, or ambiguous.
        """
        if self._is_over:
            self._end(self._trailing())
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
                return self._begin(event)
            case h11.Data():
                return b"%x\r\n%b\r\n" % (len(event.data), event.data)
            case h11.EndOfMessage():
                self._end(self._trailing())
                return b"0\r\n%b\r\n" % b"".join(
                    b"%b: %b\r\n" % header for header in event.headers.raw_items()
                )
            case _:
                self._is_fed = False
                return None

    def _begin(self, parsed: h11.Request) -> Request:
        request = Request(parsed)
        coding, length = request.only(b"transfer-encoding"), request.only(b"content-length")
        if coding is not None and length is not None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The request has two lengths")
        self._wants_upgrade = request.only(b"upgrade") is not None
        self._left = int(length or 0)  # counting is enough for such a body; h11 has checked its length
        self._is_over = coding is None and not self._left
        if self._left:
            self._rest += self._trailing()
        return request

    def _trailing(self) -> bytes:
        return self._parser.trailing_data[0]

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
        self._is_over, self._is_waiting = False, self._wants_upgrade
        if self._is_waiting:
            self._rest += rest
        else:
            self._restart(rest)
