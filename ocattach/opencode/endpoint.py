"""One HTTP request to a daemon: the way to it, what it carries, and how long it may take."""

import base64
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ocattach.errors import CertificateError, ConnectionLostError, TimedOutError, UnreachableError, UsageError

T = TypeVar("T")

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes; an environment cannot make us hold more."""

DEFAULT_PORTS = {"http": 80, "https": 443}
PROXY_PORT = 1080
SHOWN = 200
"""Characters of a header that are kept for a message."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the daemon answered, or what stands before it."""

    status: int
    content_type: str
    body: bytes
    location: str = ""
    """Where a redirect leads."""

    challenge: str = ""
    """How a 401 wants its client to authenticate."""

    date: str = ""
    """When it was sent, by the clock there."""

    next_cursor: str = ""
    """What asks for the next page of a list."""

    def json(self) -> Any:
        """The body as JSON; None when it is something else, such as the web page that unknown paths give."""
        if "json" not in self.content_type:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # the latter for what is nested without end
            return None


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy of the user's environment."""

    host: str
    port: int
    headers: tuple[tuple[str, str], ...] = ()


class Endpoint:
    """The URL of a daemon. Redirects are not followed: what a request carries is meant for this place alone."""

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
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return is_loopback(self.host)

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @cached_property
    def proxy(self) -> Proxy | None:
        """The proxy that leads there, as the TUI chooses it: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, not ALL_PROXY."""
        name = f"{self.scheme}_proxy"
        value = self._environ.get(name) or self._environ.get(name.upper())
        if not value or self.is_loopback:
            return None
        from urllib.request import (  # type: ignore[attr-defined]  # noqa: PLC0415 - slow, and for few
            proxy_bypass_environment,
        )

        exceptions = self._environ.get("no_proxy") or self._environ.get("NO_PROXY") or ""
        if proxy_bypass_environment(f"{self.host}:{self.port}", {"no": exceptions}):
            return None
        return parse_proxy(value, name.upper())

    @property
    def request_prefix(self) -> str:
        """What stands before a path in a request line; a proxy wants the whole URL where it sees the request."""
        if self.proxy is not None and self.scheme == "http":
            return f"http://{self.authority}{self._base}"
        return self._base

    @property
    def fixed_headers(self) -> tuple[tuple[str, str], ...]:
        """What every request carries, whoever makes it."""
        named = {name.lower() for name, _ in self.headers}
        host = () if "host" in named else (("Host", self.authority),)
        proxied = self.proxy.headers if self.proxy is not None and self.scheme == "http" else ()
        return (*host, *proxied, *self.headers)

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """How the certificate is looked at: by the system's CAs, and the one that was named."""
        if self.scheme != "https":
            return None
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self._ca_file:
            try:
                context.load_verify_locations(os.path.expanduser(self._ca_file))  # noqa: PTH111
            except OSError as error:  # ssl.SSLError is one
                raise UsageError(
                    f"ca_file {self._ca_file} cannot be read as certificates: {error}"
                ) from error
        return context

    def open_socket(self, timeout: float) -> socket.socket:
        """A TCP connection to the host, through the proxy where there is one; TLS is still to come."""
        if self.proxy is None:
            return socket.create_connection((self.host, self.port), timeout)
        if self.scheme == "http":
            return socket.create_connection((self.proxy.host, self.proxy.port), timeout)
        tunnel = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=timeout)
        tunnel.set_tunnel(self.host, self.port, dict(self.proxy.headers))
        tunnel.connect()
        opened: socket.socket = tunnel.sock
        return opened

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float
    ) -> Response:
        """One request on a connection of its own, and the whole answer; raises what `exchange` raises."""
        return self.exchange(method, path, headers, body, timeout=timeout, read=read_answer)

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
        """One request on a connection of its own, and what `read` makes of the answer, which may go on for ever.

        Raises TimedOutError after `timeout` seconds, CertificateError, or ConnectionLostError. With `silence` only
        the answer's head has to come within `timeout`, and what follows may not pause for longer than that.
        """
        with self._translated(f"{method} {path}", timeout):
            tls, deadline = self.tls, time.monotonic() + timeout
            connection = http.client.HTTPConnection(self.host, self.port)
            with ExitStack() as closing:
                closing.callback(connection.close)
                connection.sock = self.open_socket(timeout)
                with shut_down_after(max(0.05, deadline - time.monotonic()), connection.sock):
                    if tls is not None:
                        connection.sock = tls.wrap_socket(connection.sock, server_hostname=self.host)
                opened = connection.sock
                with shut_down_after(max(0.05, deadline - time.monotonic()), opened):
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
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLostError(
                f"The daemon cannot be reached: {str(error) or type(error).__name__}"
            ) from error


def read_answer(response: http.client.HTTPResponse) -> Response:
    """A response, as far as it is looked at."""
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
    """Give up a connection at the deadline, also when it sends a byte now and then. Raises TimeoutError then."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        try:
            # Not SSLSocket's own shutdown, which would pull the TLS state from under the reader.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself

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
    """Whether a host is this machine, by its name alone."""
    if host == "localhost":
        return True
    from ipaddress import ip_address  # noqa: PLC0415 - urllib.parse has it already where a host is written so

    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def parse_proxy(value: str, variable: str) -> Proxy:
    """The proxy that a variable names. Raises UnreachableError for one that cannot be spoken to."""
    parts = urlsplit(value if "://" in value else f"http://{value}")
    try:
        host, port = parts.hostname, parts.port or PROXY_PORT
    except ValueError:
        host = None
    if parts.scheme != "http" or not host:
        raise UnreachableError(
            f"{variable} names no proxy of the form http://HOST:PORT",
            hint="Change it, or name the host in NO_PROXY",
        )
    headers: tuple[tuple[str, str], ...] = ()
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers = (("Proxy-Authorization", basic_authorization(user, password)),)
    return Proxy(host, port, headers)


def basic_authorization(username: str, password: str) -> str:
    """Credentials as HTTP's basic authentication writes them."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def milliseconds(date: str) -> float | None:
    """Parse a Date header. Returns milliseconds since the epoch; None if it is not valid."""
    try:
        return parsedate_to_datetime(date).timestamp() * 1000
    except ValueError:
        return None
