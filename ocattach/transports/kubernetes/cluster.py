"""A cluster's API server: requests, WebSockets, and the translation of errors."""

import copy
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import urllib3
import websocket

from ocattach.config.files.paths import runtime_directory
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.errors import (
    AuthenticationError,
    EnvironmentNotFoundError,
    OcattachError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from ocattach.execution import on_error
from ocattach.opencode.endpoint import MAX_ANSWER
from ocattach.printable import command_line
from ocattach.transports.base import Ask
from ocattach.transports.kubernetes.channels import Channels
from ocattach.transports.kubernetes.config import load_access
from ocattach.transports.kubernetes.keys import key_directory
from ocattach.transports.kubernetes.network import dial, open_pools
from ocattach.untrusted_json import parse_json

DIAL_SECONDS = 10
FORBIDDEN = re.compile(
    r'User "(?P<user>.*?)" cannot (?P<verb>\S+) resource "(?P<resource>.*?)"(?: in API group ".*?")?'
    r'(?: in the namespace "(?P<namespace>.*?)")?'
)
"""The API server's message (apiserver/pkg/endpoints/handlers/responsewriters/errors.go, 1.20)."""

PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
CONNECTIONS = ("pods/exec", "pods/portforward")
"""What is requested by a WebSocket, which begins with a GET; SPDY, kubectl's other protocol, begins with a POST."""

TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
TUNNEL = re.compile(r"Tunnel connection failed: (.*)")
"""The error of http.client for a proxy that refuses CONNECT."""


class ForbiddenError(AuthenticationError):
    """The cluster does not authorize a request."""


class NotFoundError(EnvironmentNotFoundError):
    """The cluster does not have the requested object."""


class Cluster:
    """The connection to an API server. Nothing is dialled before the first request."""

    def __init__(self, target: KubernetesTarget, *, ask: Callable[[], Ask], timeout: float) -> None:
        """`ask` returns the current handler of a credential plugin's questions."""
        self.namespace = target.namespace or "default"
        self._context = target.context
        self._timeout = min(DIAL_SECONDS, timeout)
        self._keys = key_directory(runtime_directory(os.environ))
        with on_error(self._keys.cleanup):
            self._access = load_access(target.context, Path(self._keys.name), ask=ask, timeout=timeout)
            self._pools = open_pools(self._access.configuration, self._timeout)

    def in_namespace(self, namespace: str | None) -> Self:
        """Return a copy for another namespace that shares the connection. Only the original is closed."""
        shared = copy.copy(self)
        shared.namespace = namespace or "default"
        return shared

    @property
    def name(self) -> str:
        """The cluster as error messages name it."""
        return f"The cluster of context {self._context}" if self._context else "The cluster"

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._access.configuration.host)

    def kubectl(self, *words: str) -> str:
        """Return a kubectl command for this cluster and namespace, to show in a hint."""
        context = ["--context", self._context] if self._context else []
        return command_line("kubectl", *context, "--namespace", self.namespace, *words)

    def path(self, *names: str, group: str = "api/v1") -> str:
        """Return the API path of an object in the namespace."""
        return "/".join(["", group, "namespaces", self.namespace, *names])

    def get(self, path: str, **query: str) -> Mapping[str, Any]:
        """Return the object or list at an API path."""
        where = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._errors_translated():
            headers = self._headers()
            headers["Accept"] = "application/json"
            answer = self._pools.request("GET", where, headers=headers, redirect=False, preload_content=False)
            body = answer.read(MAX_ANSWER + 1)
            if len(body) > MAX_ANSWER:
                answer.close()
            answer.release_conn()
        if answer.status != 200:  # noqa: PLR2004
            raise self._refused(answer.status, body)
        if len(body) > MAX_ANSWER:
            raise UnreachableError(
                f"The response of {self.server} is longer than {MAX_ANSWER // 1024**2} MiB",
                hint="Check the address in the kubeconfig: kubectl config view",
            )
        try:
            found = parse_json(body)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise self._web_page(answer.status, body) or UnreachableError(
            f"{self.server} is not a Kubernetes API server",
            hint="Check the address in the kubeconfig: kubectl config view",
        )

    def open_channels(self, path: str, query: Sequence[tuple[str, str]]) -> Channels:
        """Open a WebSocket to an API path."""
        url = f"{self.server}{path}?{urlencode(query, errors='surrogateescape')}"
        with self._errors_translated():
            connection = dial(self._pools, self.server)
            with on_error(connection.close):
                opened = websocket.WebSocket(skip_utf8_validation=True)
                opened.connect(  # type: ignore[no-untyped-call]
                    url.replace("http", "ws", 1),
                    socket=connection,
                    header=[f"{name}: {value}" for name, value in self._headers().items()],
                    subprotocols=PROTOCOLS,
                    suppress_origin=True,
                    redirect_limit=0,
                )
                return Channels(opened)

    def _headers(self) -> urllib3.HTTPHeaderDict:
        headers = urllib3.HTTPHeaderDict()
        token = self._access.configuration.auth_settings().get("BearerToken")
        if token:
            headers[token["key"]] = token["value"]
        for name, value in self._access.impersonation:
            headers.add(name, value)
        return headers

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Translate errors of the SDK and its libraries; nothing that was sent is quoted."""
        try:
            yield
        except websocket.WebSocketBadStatusException as error:
            raise self._refused(error.status_code, error.resp_body or b"") from None
        except (urllib3.exceptions.HTTPError, websocket.WebSocketException, OSError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> OcattachError:
        causes = list(chain(error))
        hint = f"Try: {self.kubectl('get', 'pods')}"
        if any(isinstance(cause, TimeoutError | websocket.WebSocketTimeoutException) for cause in causes):
            return TimedOutError(
                f"{self.name} ({self.server}) did not answer in {self._timeout:.0f} s", hint=hint
            )
        untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
        if untrusted:
            return UnreachableError(
                f"The certificate of {self.server} is not trusted: {untrusted.verify_message}",
                hint="Check the certificate authority in the kubeconfig: kubectl config view",
            )
        system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
        text = str(causes[-1]).strip() or type(causes[-1]).__name__
        reason = system.strerror if isinstance(system, OSError) else text.splitlines()[-1]
        refused = TUNNEL.search(text)
        if refused:
            return UnreachableError(
                f"The proxy {self._proxy} does not connect to {self.server}: {refused[1]}",
                hint="Check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
            )
        return UnreachableError(
            f"{self.name} ({self.server}{self._through}) does not answer: {reason}", hint=hint
        )

    @property
    def _proxy(self) -> str:
        """The host of the proxy in use; empty without one. The URL may contain a password."""
        return urlsplit(self._access.configuration.proxy or "").hostname or ""

    @property
    def _through(self) -> str:
        return f" through the proxy {self._proxy}" if self._proxy else ""

    def _web_page(self, status: int, body: bytes) -> UnreachableError | None:
        """Return the error for a proxy that answers with a page in place of the API server."""
        if not body.lstrip().startswith(b"<"):
            return None
        title = TITLE.search(body.decode(errors="replace"))
        shown = f", titled {' '.join(title[1].split())[:100]!r}" if title else ""
        return UnreachableError(
            f"A proxy or gateway answers in place of the API server {self.server}{self._through}: "
            f"status {status} with a web page{shown}",
            hint="Check the server and proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
        )

    def _refused(self, status: int, body: bytes) -> OcattachError:
        page = self._web_page(status, body)
        if page:
            return page
        message, hint = status_message(body), f"Try: {self.kubectl('get', 'pods')}"
        match status:
            case 400:
                return UsageError(f"{self.name} rejects the request: {message}")
            case 401:
                return AuthenticationError(
                    f"{self.name} ({self.server}) does not accept your credentials: {message}",
                    hint=f"They may have expired: log in again, then try {self.kubectl('get', 'pods')}",
                )
            case 403:
                return self._forbidden(message)
            case 404:
                return NotFoundError(f"{self.name}: {message}", hint=hint)
            case _:
                return UnreachableError(f"{self.name} refused (status {status}): {message}", hint=hint)

    def _forbidden(self, message: str) -> ForbiddenError:
        denied = FORBIDDEN.search(message)
        if not denied:
            return ForbiddenError(
                f"{self.name} forbids the request: {message}",
                hint=f"Try: {self.kubectl('auth', 'can-i', '--list')}",
            )
        where = f" in namespace {denied['namespace']}" if denied["namespace"] else ""
        verb, resource = denied["verb"], denied["resource"]
        grant = "Get a role with this permission"
        if verb == "get" and resource in CONNECTIONS:
            role = (
                "create",
                "role",
                resource.replace("/", "-"),
                "--verb=get,create",
                f"--resource={resource}",
            )
            grant = (
                "Clusters before 1.35 require the verb get for this, and create is not enough, as ocattach uses "
                "WebSockets (kubectl falls back to SPDY). An administrator binds you to a role made with: "
                f"{self.kubectl(*role)}"
            )
        return ForbiddenError(
            f"{denied['user']} may not {verb} {resource}{where}",
            hint=f"{grant}, then check: {self.kubectl('auth', 'can-i', verb, resource)}",
        )

    def close(self) -> None:
        """Close connections and remove key files. Closing twice is harmless."""
        self._pools.clear()
        self._keys.cleanup()


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, innermost last."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        inner = getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__


def status_message(body: bytes | str) -> str:
    """Return the message of a Status object, or the start of another answer."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        return str(parse_json(text.encode())["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200] or "no reason given"
