"""The gate of a local port: checks each request, and replaces its credentials by those of the daemon.

Every user of this machine, and every web page in a browser on it, can connect to a port of 127.0.0.1. Therefore a
request needs the link's own credentials and this port as its host, and must not come from another site. The daemon's
credentials are added here; no client ever gets them.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ocattach.tunnel.browser import LOGIN, NOT_LOGGED_IN, OWN_SITE, Browsers, other_cookies
from ocattach.tunnel.request import Header, RefusedError, Request

TOKEN = "auth_token"  # noqa: S105 - a name
"""OpenCode's query parameter for credentials, as basic authentication encodes them (seen with 1.18.33)."""

HOST = re.compile(rb"(?:127\.0\.0\.1|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*localhost)", re.IGNORECASE)
"""The names of this machine that no name server can point elsewhere (RFC 6761, 6.3)."""

HTTP_PORT = 80
TARGET = re.compile(rb"/[!-~]*")
"""A path and a query; not a whole URL, and not `*`."""

DESKTOP = {b"oc://renderer", b"tauri://localhost", b"http://tauri.localhost", b"https://tauri.localhost"}
"""The origins of OpenCode Desktop, which no web page can have (from the list in OpenCode 1.18.33)."""


class Upstream(NamedTuple):
    """What requests to a server behind the route need besides the credential."""

    prefix: bytes = b""
    """Put before each path."""

    headers: tuple[Header, ...] = ()
    """Set in each request, in place of the client's own of the same name."""


class Gate:
    """Checks requests to one local port. `port` is set once it is open, `authorization` whenever the daemon changes.

    `expected` is the value of the Authorization header that clients have to send, `authorization` that which the
    daemon wants; None for a daemon without a password. `browsers` may use the port without `expected`.
    """

    def __init__(
        self, expected: str, *, authorization: str | None = None, browsers: Browsers | None = None
    ) -> None:
        self._browsers = browsers
        self._expected = decoded(expected.encode())
        if not self._expected:
            raise ValueError("a gate needs a credential")
        self.authorization = authorization
        self.port = 0

    def check(self, request: Request) -> None:
        """Raise RefusedError unless the request is allowed, or if it is answered here."""
        if TARGET.fullmatch(request.target) is None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "This port only takes requests for a path")
        self._check_host(request)
        if self._browsers is not None and request.target.startswith(LOGIN):
            raise RefusedError(HTTPStatus.OK, "", answer=self._browsers.log_in(request))
        self._check_site(request)
        if not self._is_authorized(request):
            self._check_browser(request)

    def _check_browser(self, request: Request) -> None:
        """Raise RefusedError unless the request comes from the page, in a browser that is logged in."""
        if self._browsers is None or not self._browsers.is_page(request):
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED,
                "The password is missing or wrong. Get it with: ocattach NAME --print-url -o json",
            )
        if not self._browsers.admits(request):
            raise RefusedError(HTTPStatus.FORBIDDEN, NOT_LOGGED_IN)

    def _check_host(self, request: Request) -> None:
        host = request.only(b"host")
        if host is None or not self._is_ours(host):
            raise RefusedError(
                HTTPStatus.FORBIDDEN, f"The request is not for this port: use http://127.0.0.1:{self.port}"
            )

    def _check_site(self, request: Request) -> None:
        origin, site = request.only(b"origin"), request.only(b"sec-fetch-site")
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

    def _is_authorized(self, request: Request) -> bool:
        given = request.only(b"authorization")
        if given is None:
            given = b"Basic " + token(request.target)
        return hmac.compare_digest(decoded(given), self._expected)

    def encode(self, request: Request, upstream: Upstream, *more: Header) -> bytes:
        """The head of a request as it is sent to the daemon; `more` are set as those of `upstream` are."""
        headers = [*upstream.headers, *more]
        if self.authorization is not None:
            headers.append((b"Authorization", self.authorization.encode()))
        return encode_without_credentials(request, headers, upstream.prefix)


class OpenGate(Gate):
    """Allows every request, for this program's own connections: they have the daemon's password."""

    def __init__(self) -> None:
        self.authorization = None
        self.port = 0

    def check(self, request: Request) -> None:
        """Do nothing."""

    def encode(self, request: Request, upstream: Upstream, *more: Header) -> bytes:
        """The head of a request as it is sent to the daemon, with the client's own credential."""
        return request.encode(upstream.prefix + request.target, [*upstream.headers, *more])


def encode_without_credentials(
    request: Request, headers: Sequence[Header] = (), prefix: bytes = b""
) -> bytes:
    """The head of a request without the client's own credentials, with these headers and a prefix of its path."""
    has_cookie = any(name.lower() == b"cookie" for name, _ in headers)
    cookies = () if has_cookie else other_cookies(request)
    target = prefix + without_token(request.target)
    return request.encode(target, [*headers, *cookies], b"authorization", b"cookie")


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
    if not query:
        return target
    kept = [each for each in query.split(b"&") if unquote_to_bytes(each.partition(b"=")[0]) != TOKEN.encode()]
    return path + mark + b"&".join(kept) if kept else path


def is_opened_page(request: Request) -> bool:
    """Return whether a person followed a link to the start page, which changes nothing."""
    return (
        request.fields.get(b"sec-fetch-mode") == b"navigate"
        and request.fields.get(b"sec-fetch-dest") == b"document"
        and (request.method, request.target) == (b"GET", b"/")
    )
