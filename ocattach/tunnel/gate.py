"""The gate of a local port: checks each request, and replaces its credentials by those of the daemon.

Every user of this machine, and every web page in a browser on it, can connect to a port of 127.0.0.1. Therefore a
request needs the link's own credentials and this port as its host, and must not come from another site. The daemon's
credentials are added here; no client ever gets them.
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import h11

TOKEN = "auth_token"  # noqa: S105 - a name
"""OpenCode's query parameter for credentials, as basic authentication encodes them (seen with 1.18.33)."""

HOST = re.compile(rb"(?:127\.0\.0\.1|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*localhost)", re.IGNORECASE)
"""The names of this machine that no name server can point elsewhere (RFC 6761, 6.3)."""

HTTP_PORT = 80
TARGET = re.compile(rb"/[!-~]*")
"""A path and a query; not a whole URL, and not `*`."""

OWN_SITE = (b"same-origin", b"none")
"""Values of Sec-Fetch-Site for requests that no other site has made (Fetch Metadata, W3C)."""


DESKTOP = {b"oc://renderer", b"tauri://localhost", b"http://tauri.localhost", b"https://tauri.localhost"}
"""The origins of OpenCode Desktop, which no web page can have (from the list in OpenCode 1.18.33)."""


class RefusedError(Exception):
    """A request that is refused, with the status and the reason for the client."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Upstream:
    """What requests to a server behind the route need besides the credential."""

    prefix: bytes = b""
    """Put before each path."""

    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Set in each request, in place of the client's own of the same name."""


class Gate:
    """Checks requests to one local port. `port` is set once it is open, `authorization` whenever the daemon changes.

    `expected` is the value of the Authorization header that clients have to send, `authorization` that which the
    daemon wants; None for a daemon without a password.
    """

    def __init__(self, expected: str, *, authorization: str | None = None) -> None:
        self._expected = decoded(expected.encode())
        if not self._expected:
            raise ValueError("a gate needs a credential")
        self.authorization = authorization
        self.port = 0

    def check(self, request: h11.Request) -> None:
        """Raise RefusedError unless the request is allowed."""
        if TARGET.fullmatch(request.target) is None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "This port only takes requests for a path")
        self._check_host(request)
        self._check_site(request)
        if not self._is_authorized(request):
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED,
                "The password is missing or wrong. Get it with: ocattach NAME --print-url -o json",
            )

    def _check_host(self, request: h11.Request) -> None:
        host = only(request, b"host")
        if host is None or not self._is_ours(host):
            raise RefusedError(
                HTTPStatus.FORBIDDEN, f"The request is not for this port: use http://127.0.0.1:{self.port}"
            )

    def _check_site(self, request: h11.Request) -> None:
        origin, site = only(request, b"origin"), only(request, b"sec-fetch-site")
        if origin in DESKTOP:
            return
        scheme, _, host = (origin or b"").partition(b"://")
        is_foreign = origin is not None and not (scheme == b"http" and self._is_ours(host))
        if site is not None and site.lower() not in OWN_SITE:
            is_foreign = is_foreign or not is_opened_page(request)
        if is_foreign:
            raise RefusedError(HTTPStatus.FORBIDDEN, "Requests from other sites are not allowed")

    def _is_ours(self, host: bytes) -> bool:
        """Whether a host and port are those of the local port."""
        name, colon, port = host.partition(b":")
        is_port = port == str(self.port).encode() if colon else self.port == HTTP_PORT
        return is_port and HOST.fullmatch(name) is not None

    def _is_authorized(self, request: h11.Request) -> bool:
        given = only(request, b"authorization")
        if given is None:
            given = b"Basic " + token(request.target)
        return hmac.compare_digest(decoded(given), self._expected)

    def encode(self, request: h11.Request, upstream: Upstream) -> bytes:
        """The head of a request as it is sent to the daemon."""
        headers = list(upstream.headers)
        if self.authorization is not None:
            headers.append((b"Authorization", self.authorization.encode()))
        replaced = {b"authorization", *(name.lower() for name, _ in headers)}
        kept = [(name, value) for name, value in request.headers.raw_items() if name.lower() not in replaced]
        return encode_head(request, upstream.prefix + without_token(request.target), [*headers, *kept])


class OpenGate(Gate):
    """Allows every request, for this program's own connections: they have the daemon's password."""

    def __init__(self) -> None:
        self.authorization = None
        self.port = 0

    def check(self, request: h11.Request) -> None:
        """Do nothing."""

    def encode(self, request: h11.Request, upstream: Upstream) -> bytes:
        """The head of a request as it is sent to the daemon, with the client's own credential."""
        set_here = {name.lower() for name, _ in upstream.headers}
        kept = [(name, value) for name, value in request.headers.raw_items() if name.lower() not in set_here]
        return encode_head(request, upstream.prefix + request.target, [*upstream.headers, *kept])


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
        coding, length = only(request, b"transfer-encoding"), only(request, b"content-length")
        if coding is not None and length is not None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The request has two lengths")
        self._wants_upgrade = only(request, b"upgrade") is not None
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


def only(request: h11.Request, name: bytes) -> bytes | None:
    """The value of a header, None without it. Raises RefusedError when it is there more than once."""
    values = [value for key, value in request.headers.raw_items() if key.lower() == name]
    if len(values) > 1:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"The request has several headers {name.decode()}")
    return values[0] if values else None


def decoded(authorization: bytes) -> bytes:
    """The user name and password of basic authentication; something that never matches for anything else."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return b""


def token(target: bytes) -> bytes:
    """The credentials in the query of a request, as basic authentication encodes them."""
    _, _, query = target.partition(b"?")
    pairs = [each.partition(b"=") for each in query.split(b"&")]
    given = [unquote_to_bytes(value) for name, _, value in pairs if unquote_to_bytes(name) == TOKEN.encode()]
    return given[0].replace(b" ", b"+") if len(given) == 1 else b""


def without_token(target: bytes) -> bytes:
    """The target of a request without credentials in its query; otherwise as the client wrote it."""
    path, mark, query = target.partition(b"?")
    kept = [each for each in query.split(b"&") if unquote_to_bytes(each.partition(b"=")[0]) != TOKEN.encode()]
    return path + mark + b"&".join(kept) if kept or not query else path


def is_opened_page(request: h11.Request) -> bool:
    """Return whether a person followed a link to the start page, which changes nothing."""
    fields = dict(request.headers)
    return (
        fields.get(b"sec-fetch-mode") == b"navigate"
        and fields.get(b"sec-fetch-dest") == b"document"
        and (request.method, request.target) == (b"GET", b"/")
    )
