"""One HTTP request to a daemon."""

import base64
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from ocattach.backoff import Deadline
from ocattach.errors import CertificateError, ConnectionLostError, TimedOutError, UnreachableError, UsageError
from ocattach.untrusted_json import parse_json

T = TypeVar("T")

MAX_ANSWER = 16 * 1024 * 1024
"""The largest response, in bytes."""

DEFAULT_PORTS = {"http": 80, "https": 443}
PROXY_PORT = 1080
SHOWN = 200
"""Characters of a header that are kept for messages."""


class Response(NamedTuple):
    """A response of the daemon, or of a proxy or gateway in front of it."""

    status: int
    content_type: str
    body: bytes
    location: str = ""
    challenge: str = ""
    """The WWW-Authenticate header of a 401."""

    date: str = ""
    """When it was sent, by the clock of the server."""

    next_cursor: str = ""

    def json(self) -> Any:
        """Return the body as JSON; None for anything else, such as the web page at unknown paths."""
        if "json" not in self.content_type:
            return None
        try:
            return parse_json(self.body)
        except ValueError:
            return None


class Proxy(NamedTuple):
    """An HTTP proxy from the variables of the user."""

    host: str
    port: int
    headers: tuple[tuple[str, str], ...] = ()


class Endpoint:
    """The URL of a daemon. Redirects are not followed, because requests carry credentials."""

    def __init__(
        self,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        ca_file: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.scheme = parts.scheme
        self.host = unquote(parts.hostname or "127.0.0.1")
        self.port = parts.port or DEFAULT_PORTS[self.scheme]
        self.headers = tuple(headers)
        self._base = parts.path.rstrip("/")
        self._ca_file = ca_file
        self._environ = environ

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @cached_property
    def proxy(self) -> Proxy | None:
        """The proxy for this URL, as the TUI chooses it: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, not ALL_PROXY."""
        name = f"{self.scheme}_proxy"
        value = self._environ.get(name) or self._environ.get(name.upper())
        if not value or is_loopback(self.host):
            return None
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # noqa: PLC0415 - slow, and needed only with a proxy

        exceptions = self._environ.get("no_proxy") or self._environ.get("NO_PROXY") or ""
        if proxy_bypass_environment(f"{self.host}:{self.port}", {"no": exceptions}):
            return None
        return parse_proxy(value, name.upper())

    @property
    def request_prefix(self) -> str:
        """What precedes a path in the request line: the whole URL for a proxy that forwards HTTP."""
        if self.proxy is not None and self.scheme == "http":
            return f"http://{self.authority}{self._base}"
        return self._base

    @property
    def fixed_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of every request."""
        named = {name.lower() for name, _ in self.headers}
        host = () if "host" in named else (("Host", self.authority),)
        proxied = self.proxy.headers if self.proxy is not None and self.scheme == "http" else ()
        return (*host, *proxied, *self.headers)

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """The TLS context: the CAs of the system, and those of `ca_file`."""
        if self.scheme != "https":
            return None
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self._ca_file:
            try:
                context.load_verify_locations(os.path.expanduser(self._ca_file))  # noqa: PTH111
            except OSError as error:  # ssl.SSLError is one
                raise UsageError(f"ca_file {self._ca_file} does not contain certificates: {error}") from error
        return context

    def open_socket(self, timeout: float) -> socket.socket:
        """Open a TCP connection to the host, through the proxy if there is one. TLS is not started yet."""
        if self.proxy is None:
            return socket.create_connection((self.host, self.port), timeout)
        if self.scheme == "http":
            return socket.create_connection((self.proxy.host, self.proxy.port), timeout)
        tunnel = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=timeout)
        tunnel.set_tunnel(self.host, self.port, dict(self.proxy.headers))
        tunnel.connect()
        opened: socket.socket = tunnel.sock
        return opened

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        timeout: float,
        read: Callable[[http.client.HTTPResponse], T],
        silence: float | None = None,
    ) -> T:
        """Send a request on a new connection, and return the result of `read` for its response.

        Raises TimedOutError after `timeout` seconds, CertificateError, or ConnectionLostError. With `silence` only the
        head must arrive within `timeout`, and the body may not pause for longer than `silence` seconds.
        """
        with self._translated(f"{method} {path}", timeout):
            tls, deadline = self.tls, Deadline(timeout)
            connection = http.client.HTTPConnection(self.host, self.port)
            with ExitStack() as closing:
                closing.callback(connection.close)
                connection.sock = self.open_socket(timeout)
                with shut_down_after(max(0.05, deadline.left), connection.sock):
                    if tls is not None:
                        connection.sock = tls.wrap_socket(connection.sock, server_hostname=self.host)
                opened = connection.sock
                with shut_down_after(max(0.05, deadline.left), opened):
                    wanted = {**dict(self.fixed_headers), **headers, "Connection": "close"}
                    connection.request(method, self.request_prefix + path, body, wanted)
                    response = closing.enter_context(connection.getresponse())
                    if silence is None:
                        return read(response)
                opened.settimeout(silence)
                return read(response)

    @contextmanager
    def _translated(self, what: str, timeout: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise TimedOutError(f"The daemon did not answer {what} in {timeout:.0f} s") from error
        except ssl.SSLCertVerificationError as error:
            raise CertificateError(
                f"The certificate of {self.authority} is not accepted: {error.verify_message}"
            ) from error
        except (OSError, UnicodeError, http.client.HTTPException) as error:  # UnicodeError: no name of a host
            raise ConnectionLostError(
                f"The daemon cannot be reached: {str(error) or type(error).__name__}"
            ) from error


def read_answer(response: http.client.HTTPResponse) -> Response:
    """Read a response."""
    body = response.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise ConnectionLostError(f"The daemon's answer is larger than {MAX_ANSWER} bytes")
    return Response(
        response.status,
        response.headers.get_content_type(),
        body,
        location=response.headers.get("Location", "")[:SHOWN],
        challenge=response.headers.get("WWW-Authenticate", "")[:SHOWN],
        date=response.headers.get("Date", "")[:SHOWN],
        next_cursor=response.headers.get("X-Next-Cursor", "")[:SHOWN],
    )


@contextmanager
def shut_down_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Shut the connection down at the deadline, even if it still receives data. Raises TimeoutError then."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        try:
            # Not SSLSocket's own shutdown, which would pull the TLS state from under the reader.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        except OSError:
            return  # the connection is closed

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if expired.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if expired.is_set():
        raise TimeoutError


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, without resolving it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def parse_proxy(value: str, variable: str) -> Proxy:
    """Parse the proxy in a variable. Raises UnreachableError if it is not an HTTP proxy."""
    parts = urlsplit(value if "://" in value else f"http://{value}")
    try:
        host, port = parts.hostname, parts.port or PROXY_PORT
    except ValueError:
        host = None
    if parts.scheme != "http" or not host:
        raise UnreachableError(
            f"{variable} is not a proxy of the form http://HOST:PORT",
            hint="Change it, or name the host in NO_PROXY",
        )
    headers: tuple[tuple[str, str], ...] = ()
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers = (("Proxy-Authorization", basic_authorization(user, password)),)
    return Proxy(host, port, headers)


def basic_authorization(username: str, password: str) -> str:
    """Return the value of an Authorization header for basic authentication."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def milliseconds(date: str) -> float | None:
    """Parse a Date header. Returns milliseconds since the epoch; None if it is not valid."""
    try:
        return parsedate_to_datetime(date).timestamp() * 1000
    except (ValueError, OverflowError, OSError):  # OverflowError: the year 99999999999
        return None
