"""Browsers at a local port: links that log one in once, and the cookie that such a link sets.

Browsers send a cookie to every port of its host. Therefore the host has a part that only the account knows: a server of
another account, or of the environment on a forwarded port, has another name and never gets the cookie.
"""

import base64
import hmac
import html
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from ocattach.tunnel.request import Header, RefusedError, Request

LOGIN = b"/.ocattach/login?"
"""The path that logs a browser in, before the token of a link. The daemon never gets it."""

COOKIE = b"ocattach"
VALUE = re.compile(rb"([0-9]{1,12})\.([0-9a-f]{64})")
"""When a cookie expires, in seconds since the epoch, and its signature."""

COOKIE_SECONDS = 7 * 24 * 3600
LINK_SECONDS = 60.0
MOST_LINKS = 16
"""How many links are kept; a further one replaces the oldest."""

CODE_LETTERS = 16
"""The length of the part of the host that only the account knows: 80 bits."""

LONGEST_LABEL = 63
"""The longest part of a host's name (RFC 1035, 2.3.4)."""

OWN_SITE = (b"same-origin", b"none")
"""Values of Sec-Fetch-Site for requests that no other site has made (Fetch Metadata, W3C)."""

NOT_LOGGED_IN = "This browser is not logged in. Open the page with: ocattach web NAME"
INVALID_LINK = "This link was used before or is too old. Get another with: ocattach web NAME"

PAGE = """<!doctype html><title>OpenCode</title>
<meta http-equiv="refresh" content="0;url={path}"><a href="{path}">Continue to OpenCode</a>
"""
"""A redirect would not do: after a navigation from elsewhere, browsers do not send a cookie with SameSite=Strict to
where it leads (seen with Chromium 156)."""


@dataclass(slots=True)
class OneTimeLink:
    """A link that logs a browser in, once."""

    path: str
    """The page that it leads to."""

    expires: float
    token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    was_used: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    """Set once it was used or revoked."""


class Browsers:
    """Logs browsers in at one local port, and recognizes their requests. Thread-safe.

    `secret` signs the cookies: they stay valid while it stays the same. The host is derived from `password`.
    """

    login = LOGIN.decode()
    """What precedes the token of a link, after the host."""

    def __init__(self, secret: str, password: str, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._links: Sequence[OneTimeLink] = ()
        self._lock = threading.Lock()
        self._secret = secret.encode()
        code = base64.b32encode(hmac.digest(password.encode(), b"host", "sha256"))[:CODE_LETTERS]
        self._host_end = code.lower() + b".localhost"

    def host(self, name: str) -> str:
        """Return the host of the page for a connection's name. Characters that a host cannot have become hyphens."""
        label = re.sub(r"[^a-z0-9]+", "-", name.lower())[: LONGEST_LABEL - 1 - CODE_LETTERS].strip("-")
        return f"{label}-{self._host_end.decode()}" if label else self._host_end.decode()

    def new_token(self, path: str) -> str:
        """Return the token of a new link to a page, which LOGIN takes within LINK_SECONDS."""
        link = OneTimeLink(path, self._clock() + LINK_SECONDS)
        with self._lock:
            self._links = (*self._links, link)[-MOST_LINKS:]
        return link.token

    def await_use(self, token: str) -> bool:
        """Wait until a link was used, was revoked or is too old. Returns whether it was used."""
        for link in self._links:
            if hmac.compare_digest(link.token, token):
                link.ended.wait(max(0.0, link.expires - self._clock()))
                return link.was_used
        return False

    def revoke(self, secret: str) -> None:
        """Make all cookies and links invalid. The next ones are signed with this secret."""
        self._secret = secret.encode()
        self.drop_links()

    def drop_links(self) -> None:
        """Make all links invalid."""
        with self._lock:
            links, self._links = self._links, ()
        for link in links:
            link.ended.set()

    def is_page(self, request: Request) -> bool:
        """Return whether the host of a request is one of the page's."""
        end = (request.only(b"host") or b"").partition(b":")[0].lower()[-len(self._host_end) :]
        return hmac.compare_digest(end, self._host_end)

    def log_in(self, request: Request) -> bytes:
        """Return the answer to a request for LOGIN, which sets the cookie. Raises RefusedError.

        Any site may lead here, as the file does that opens the page: without a valid token nothing happens.
        """
        is_opened = request.only(b"sec-fetch-dest") in {b"document", None}
        token = request.target.removeprefix(LOGIN)
        if request.method == b"GET" and is_opened and self.is_page(request):
            with self._lock:
                for link in self._links:
                    is_valid = not link.was_used and self._clock() < link.expires
                    if hmac.compare_digest(link.token.encode(), token) and is_valid:
                        link.was_used = True
                        link.ended.set()
                        return self._welcome(link.path)
        raise RefusedError(HTTPStatus.FORBIDDEN, INVALID_LINK)

    def _welcome(self, path: str) -> bytes:
        expires = b"%d" % (self._clock() + COOKIE_SECONDS)
        page = PAGE.format(path=html.escape(path)).encode()
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
            b"Set-Cookie: %b=%b.%b; Path=/; HttpOnly; SameSite=Strict\r\n"
            b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
            b"Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%b"
        ) % (len(page), COOKIE, expires, self._signature(expires), page)

    def _signature(self, expires: bytes) -> bytes:
        return hmac.digest(self._secret, b"cookie " + expires, "sha256").hex().encode()

    def admits(self, request: Request) -> bool:
        """Return whether a request for the page comes from a browser that is logged in, and from the page itself.

        Another page can cause requests with the cookie, but not with these values of Origin and Sec-Fetch-Site.
        """
        host = request.only(b"host") or b""
        origin, site = request.only(b"origin"), request.only(b"sec-fetch-site")
        is_own = origin == b"http://" + host if origin is not None else site in OWN_SITE
        if request.only(b"upgrade") is not None:
            is_own = is_own and origin is not None  # not all browsers send Sec-Fetch-Site for WebSockets
        is_own = is_own and (site is None or site in OWN_SITE)
        return is_own and any(map(self._is_signed, cookies(request)))

    def _is_signed(self, value: bytes) -> bool:
        parts = VALUE.fullmatch(value)
        if parts is None or int(parts[1]) <= self._clock():
            return False
        return hmac.compare_digest(parts[2], self._signature(parts[1]))


def cookies(request: Request) -> Iterator[bytes]:
    """The values of our cookie in a request."""
    for each in (request.only(b"cookie") or b"").split(b";"):
        if is_ours(each):
            yield each.partition(b"=")[2].strip()


def is_ours(cookie: bytes) -> bool:
    """Whether a part of a header Cookie is our cookie."""
    return cookie.partition(b"=")[0].strip() == COOKIE


def other_cookies(request: Request) -> Sequence[Header]:
    """The header Cookie of a request without our cookie; nothing if no other is left."""
    others = [each.strip() for each in request.fields.get(b"cookie", b"").split(b";") if not is_ours(each)]
    value = b"; ".join(others)
    return [(b"Cookie", value)] if value else []


def carries_cookie(request: Request) -> bool:
    """Whether a request has our cookie, valid or not."""
    return any(map(is_ours, request.fields.get(b"cookie", b"").split(b";")))
