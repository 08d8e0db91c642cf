"""Daemons at a URL that are not managed by ocattach: none is started, and most need no tunnel."""

import http.client
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.http import HTTPTarget
from ocattach.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionLostError,
    DaemonNotRunningError,
    OcattachError,
    OpencodeIncompatibleError,
    TimedOutError,
    UnreachableError,
    WorkdirNotFoundError,
)
from ocattach.opencode.api import DaemonClient, absolute, read_version
from ocattach.opencode.endpoint import Endpoint, Response, basic_authorization, is_loopback
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Availability, DirectDaemon, Plan, TransportHandler
from ocattach.transports.http.password import Password, given_password, typed_password

if TYPE_CHECKING:
    from ocattach.daemon import DaemonStatus
    from ocattach.tunnel.tunnel import Tunnel

REQUEST_SECONDS = 10
TRIES = 3
"""How often the password is asked for."""

GATEWAY_ERRORS = {http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE, http.client.GATEWAY_TIMEOUT}


class HTTPTransport(TransportHandler):
    """A daemon at a URL; `connect` opens a tunnel that adds the headers."""

    scheme = "http"

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, HTTPTarget):
            raise TypeError(spec.target)
        self._target = spec.target
        self.url = spec.target.url
        self._endpoint = Endpoint(
            self._target.url, headers=self._target.headers, ca_file=self._target.ca_file
        )
        self._username = self._target.username or "opencode"
        self._password: Password | None = None
        self._seen_version: str | None = None
        self._workdir: str | None = None
        self._tunnels: list[Tunnel] = []
        self._deadline = 0.0

    @property
    def workdir(self) -> str | None:
        return self._workdir or self.spec.workdir

    def plan(self) -> Plan:
        proxy = self._endpoint.proxy
        through = f", through the proxy {proxy.host}:{proxy.port}" if proxy else ""
        headers = ", ".join(name for name, _ in self._target.headers)
        route = (
            f"gateway: a link here adds the headers {headers}"
            if headers
            else "direct: clients use the URL as it is"
        )
        return Plan(
            f"{self.url}{through}", routes=(route,), runs_commands=False, url=None if headers else self.url
        )

    def check_available(self) -> Availability:
        self._deadline = time.monotonic() + self.timeout
        self._seen_version = self._version()
        return Availability(f"{self._endpoint.authority} answers")

    def check_daemon_running(self) -> "DaemonStatus":
        from ocattach.daemon import DaemonStatus  # noqa: PLC0415 - warm, where `direct` is called
        from ocattach.daemon.probe import FoundDaemon  # noqa: PLC0415 - as above

        try:
            daemon = self.direct()
        except DaemonNotRunningError:
            return DaemonStatus()
        found = FoundDaemon(
            pid=0,
            port=daemon.port,
            host=self._endpoint.host,
            username=daemon.username,
            password=daemon.password,
            recorded=False,
        )
        return DaemonStatus(found)

    def direct(self) -> DirectDaemon:
        self._deadline = time.monotonic() + self.timeout
        # What `check_available` has seen is believed once.
        seen, self._seen_version = self._seen_version, None
        version = seen or self._version()
        with self._errors_translated():
            self._check_workdir()
        return DirectDaemon(
            url=self.url,
            username=self._username,
            password=self._password.text if self._password else "",
            version=version,
            port=self._endpoint.port,
            workdir=self.workdir,
            ca_file=self._target.ca_file,
        )

    def start_daemon(self) -> "DaemonStatus":
        status = self.check_daemon_running()
        if not status.running:
            raise self._not_running("nothing answers there")
        return status

    def stop_daemon(self, *, force: bool = False) -> int | None:
        raise OcattachError(
            f"The daemon at {self.url} was not started by ocattach, and cannot be ended through its URL"
            + (", not even with --force" if force else ""),
            hint="End it where it runs",
        )

    def connect(self, remote_port: int, *, tunnel: "Tunnel | None" = None) -> "Tunnel":
        from ocattach.transports.http.route import gateway_tunnel  # noqa: PLC0415 - asyncio

        if remote_port != self._endpoint.port:
            raise UnreachableError(f"{self.url} leads to port {self._endpoint.port} alone, not {remote_port}")
        password = self._password.text if self._password else secrets.token_urlsafe(32)
        authorization = basic_authorization(self._username, password)
        opened = gateway_tunnel(tunnel, self._endpoint, remote_port, authorization)
        if tunnel is None:
            self._tunnels.append(opened)
        return opened

    def disconnect(self) -> None:
        while self._tunnels:
            self._tunnels.pop().close()

    def _client(self) -> DaemonClient:
        """Return a client with the known password. Raises AuthenticationError rather than send it unencrypted."""
        if self._password is not None or self._target.headers:
            self._refuse_plain()
        left = max(0.1, self._deadline - time.monotonic())
        return DaemonClient(
            self._endpoint,
            username=self._username,
            password=self._password.text if self._password else "",
            timeout=min(left, REQUEST_SECONDS),
        )

    def _refuse_plain(self) -> None:
        """Raise AuthenticationError if a secret would be sent unencrypted and the connection does not allow that."""
        endpoint = self._endpoint
        if endpoint.scheme == "https" or is_loopback(endpoint.host) or self._target.allow_plain_password:
            return
        what = "password or headers are" if self._target.headers else "a password is"
        raise AuthenticationError(
            f"{self.url} is not encrypted: {what} not sent to another machine in the clear",
            hint="Use https:// or ssh://, or allow it in a connection of your own: allow_plain_password: true",
        )

    def _version(self) -> str:
        """Return the version of the daemon, after getting the password."""
        if self._password is None:
            self._password = given_password(self._target, ask=self.ask, timeout=self.timeout)
        with self._errors_translated():
            answer = self._client().health()
            if answer.status == http.client.UNAUTHORIZED:
                answer = self._authenticated(answer)
            self._refuse_foreign(answer)
            return read_version(answer)

    def _authenticated(self, refused: Response) -> Response:
        """Return the response to an accepted password. Raises AuthenticationError if none is accepted."""
        self._refuse_plain()
        if self._target.has_authorization:
            raise AuthenticationError(
                f"{self.url} does not accept the Authorization of the connection's headers"
            )
        if not refused.challenge.lower().startswith("basic"):
            raise AuthenticationError(
                f"{self.url} wants another proof than a password: {refused.challenge or 'it does not say which'}",
                hint="What stands in front of the daemon may want headers: set headers in the connection",
            )
        typed = self._password is None
        for attempt in range(TRIES if typed else 0):
            self._password = typed_password(self._target, self._username, again=attempt > 0, ask=self.ask)
            self._deadline = time.monotonic() + self.timeout  # a person's time does not count
            answer = self._client().health()
            if answer.status != http.client.UNAUTHORIZED:
                return answer
        origin = self._password.origin if self._password else ""
        self._password = None
        raise AuthenticationError(
            f"{self.url} does not accept {self._username} with the password from {origin}",
            hint="Is it the password that the daemon was started with (OPENCODE_SERVER_PASSWORD)?",
        )

    def _refuse_foreign(self, answer: Response) -> None:
        """Raise the error for a response that is not from a daemon."""
        status = answer.status
        if answer.location and http.client.MULTIPLE_CHOICES <= status < http.client.BAD_REQUEST:
            raise UnreachableError(
                f"{self.url} redirects to {answer.location}; nothing was sent there",
                hint="If that is where the daemon is, connect to it by that URL",
            )
        if status in GATEWAY_ERRORS:
            raise self._not_running(f"what stands in front of it answers with status {status}")
        if status == http.client.FORBIDDEN:
            raise AuthenticationError(
                f"{self.url} refuses us (status 403)",
                hint="What stands in front of the daemon may want headers: set headers in the connection",
            )
        content = answer.json()
        if isinstance(content, dict) and isinstance(content.get("version"), str):
            return
        kind = "a web page" if answer.content_type == "text/html" else answer.content_type
        if content is not None:
            kind = "JSON without a version"
        raise OpencodeIncompatibleError(
            f"What answers at {self.url} is no OpenCode daemon of version 1: it gives {kind} (status {status})",
            hint="Check host, port and path of the URL; a network may also want you to log in first",
        )

    def _check_workdir(self) -> None:
        """Check that the daemon has the connection's directory and serves sessions there."""
        directory = absolute(self._client(), self.spec.workdir)
        self._client().sessions(directory)
        if directory is not None and not self._client().has_directory(directory):
            raise WorkdirNotFoundError(
                f"The daemon at {self.url} has no directory {directory} that it can read",
                hint="Create it there, or name another with --workdir",
            )
        self._workdir = directory

    def _not_running(self, reason: str) -> DaemonNotRunningError:
        return DaemonNotRunningError(
            f"No daemon answers at {self.url}: {reason}",
            hint=f"Start it there: {command_line('opencode', 'serve', '--port', self._endpoint.port)}",
        )

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Turn the errors of requests into errors about the URL."""
        try:
            yield
        except CertificateError as error:
            error.hint = (
                "If a CA of your own signed it, name its certificate in the connection: ca_file: /FILE.pem"
            )
            raise
        except TimedOutError as error:
            raise TimedOutError(
                f"{self.url} does not answer: {error.message}",
                hint="Is it the right port? Is a proxy in between?",
            ) from error
        except ConnectionLostError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: ConnectionLostError) -> UnreachableError:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "reason", None) or cause  # not set by all of them
            return UnreachableError(
                f"{self._endpoint.authority} does not speak TLS as it should: {reason}",
                hint=f"Is it http://{self._endpoint.authority}?",
            )
        if isinstance(cause, ConnectionRefusedError) and self._endpoint.proxy is None:
            return self._not_running("connection refused")
        through = f" through the proxy {self._endpoint.proxy.host}" if self._endpoint.proxy else ""
        return UnreachableError(
            f"{self.url} cannot be reached{through}: {cause or error.message}",
            hint=f"Try: {command_line('curl', '--head', f'{self.url}/global/health')}",
        )
