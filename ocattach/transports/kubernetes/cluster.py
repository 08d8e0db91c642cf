"""A cluster's API server: requests, WebSockets, and the translation of errors."""

import copy
import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import urllib3
import websocket
from kubernetes.client import ApiClient, ApiException
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.stream.ws_client import create_websocket, get_websocket_url

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
from ocattach.transports.kubernetes.channels import Channels
from ocattach.transports.kubernetes.config import load_configuration
from ocattach.untrusted_json import parse_json

DIAL_SECONDS = 10
KEYS = "keys-"
FORBIDDEN = re.compile(
    r'User "(?P<user>.*?)" cannot (?P<verb>\S+) resource "(?P<resource>.*?)"(?: in API group ".*?")?'
    r'(?: in the namespace "(?P<namespace>.*?)")?'
)
"""The API server's message (apiserver/pkg/endpoints/handlers/responsewriters/errors.go, 1.20)."""

# The official client dials without a timeout (ws_client.py, 37), so set that of its library.
websocket.setdefaulttimeout(DIAL_SECONDS)


class ForbiddenError(AuthenticationError):
    """The cluster does not authorize a request."""


class NotFoundError(EnvironmentNotFoundError):
    """The cluster does not have the requested object."""


class Cluster:
    """The connection to an API server. Nothing is dialled before the first request."""

    def __init__(self, target: KubernetesTarget, *, timeout: float) -> None:
        self.namespace = target.namespace or "default"
        self._context = target.context
        self._timeout = min(DIAL_SECONDS, timeout)
        self._keys = key_directory(runtime_directory(os.environ))
        with on_error(self._keys.cleanup):
            self._configuration = load_configuration(target.context, Path(self._keys.name))
            self._client = ApiClient(self._configuration)

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
        return str(self._configuration.host)

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
            answer = self._client.call_api(
                "GET", where, header_params=self._headers(), _request_timeout=self._timeout
            )
            body = answer.response.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            answer.response.close()
            raise UnreachableError(
                f"The response of {self.server} is longer than {MAX_ANSWER // 1024**2} MiB",
                hint="Check the address in the kubeconfig: kubectl config view",
            )
        if answer.status != 200:  # noqa: PLR2004
            raise self._refused(answer.status, body)
        try:
            found = parse_json(body)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise UnreachableError(
            f"{self.server} is not a Kubernetes API server",
            hint="Check the address in the kubeconfig: kubectl config view",
        )

    def open_channels(self, path: str, query: Sequence[tuple[str, str]]) -> Channels:
        """Open a WebSocket to an API path."""
        encoded = urlencode(query, errors="surrogateescape")
        with self._errors_translated():
            opened = create_websocket(
                self._configuration, get_websocket_url(f"{self.server}{path}?{encoded}"), self._headers()
            )
            return Channels(opened)

    def _headers(self) -> dict[str, str]:
        token = self._configuration.auth_settings().get("BearerToken")
        return {"Accept": "application/json"} | ({token["key"]: token["value"]} if token else {})

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Translate errors of the SDK and its libraries; nothing that was sent is quoted."""
        try:
            yield
        except websocket.WebSocketBadStatusException as error:
            raise self._refused(error.status_code, error.resp_body or b"") from None
        except (
            ApiException,
            urllib3.exceptions.HTTPError,
            websocket.WebSocketException,
            OSError,
        ) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> OcattachError:
        """Return the error for an API server that did not answer."""
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
        return UnreachableError(
            f"{self.name} ({self.server}{self._proxied()}) does not answer: {reason}", hint=hint
        )

    def _proxied(self) -> str:
        """Return the proxy in use as a phrase, without the password in its URL."""
        proxy = urlsplit(self._configuration.proxy or "")
        if not proxy.hostname or should_bypass_proxies(self.server, self._configuration.no_proxy or ""):
            return ""
        return f" through the proxy {proxy.hostname}"

    def _refused(self, status: int, body: bytes) -> OcattachError:
        """Return the error for a refused request."""
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
        return ForbiddenError(
            f"{denied['user']} may not {denied['verb']} {denied['resource']}{where}",
            hint="Get a role with this permission, then check: "
            + self.kubectl("auth", "can-i", denied["verb"], denied["resource"]),
        )

    def close(self) -> None:
        """Close connections and remove key files. Closing twice is harmless."""
        self._client.rest_client.close()
        self._keys.cleanup()


def key_directory(runtime: Path) -> "tempfile.TemporaryDirectory[str]":
    """Create a directory for keys that the SDK needs as files, and remove those of killed processes.

    The SDK reads the files for every new connection (kubernetes/client/rest.py, 37).
    """
    for left in runtime.glob(f"{KEYS}*"):
        if not is_alive(int(left.name.removeprefix(KEYS).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(
        prefix=f"{KEYS}{os.getpid()}-", dir=runtime, ignore_cleanup_errors=True
    )


def is_alive(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)  # else it is another user's
    return True


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
