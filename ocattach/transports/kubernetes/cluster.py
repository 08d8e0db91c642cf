"""One cluster's API server: requests, WebSockets, and its refusals as errors of ours."""

import copy
import json
import os
import re
import shlex
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
from ocattach.transports.kubernetes.channels import Channels
from ocattach.transports.kubernetes.config import load_configuration

DIAL_SECONDS = 10
KEYS = "keys-"
FORBIDDEN = re.compile(
    r'User "(?P<user>.*?)" cannot (?P<verb>\S+) resource "(?P<resource>.*?)"(?: in API group ".*?")?'
    r'(?: in the namespace "(?P<namespace>.*?)")?'
)
"""How the API server words it (apiserver/pkg/endpoints/handlers/responsewriters/errors.go, 1.20)."""

# The official client dials without a deadline (ws_client.py, 37); this is that of the library it dials with.
websocket.setdefaulttimeout(DIAL_SECONDS)


class ForbiddenError(AuthenticationError):
    """The cluster knows us, and we may not do this."""


class NotFoundError(EnvironmentNotFoundError):
    """The cluster has no such thing."""


class Cluster:
    """The connection to the API server, opened on first use."""

    def __init__(self, target: KubernetesTarget, *, timeout: float) -> None:
        self.namespace = target.namespace or "default"
        self._context = target.context
        self._timeout = min(DIAL_SECONDS, timeout)
        self._keys = key_directory(runtime_directory(os.environ))
        try:
            self._configuration = load_configuration(target.context, Path(self._keys.name))
            self._client = ApiClient(self._configuration)
        except BaseException:
            self._keys.cleanup()
            raise

    def in_namespace(self, namespace: str | None) -> Self:
        """The same connection, with another namespace in view; it is the original that is closed."""
        twin = copy.copy(self)
        twin.namespace = namespace or "default"
        return twin

    @property
    def name(self) -> str:
        """The cluster as it stands in a sentence."""
        return f"The cluster of context {self._context}" if self._context else "The cluster"

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._configuration.host)

    def kubectl(self, *words: str) -> str:
        """A command to paste, about the same cluster and namespace."""
        context = ["--context", self._context] if self._context else []
        return shlex.join(["kubectl", *context, "--namespace", self.namespace, *words])

    def path(self, *names: str, group: str = "api/v1") -> str:
        """The path of something in the namespace."""
        return "/".join(["", group, "namespaces", self.namespace, *names])

    def get(self, path: str, **query: str) -> Mapping[str, Any]:
        """Something the cluster knows."""
        where = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._errors_translated():
            answer = self._client.call_api(
                "GET", where, header_params=self._headers(), _request_timeout=self._timeout
            )
            body = answer.read()
        if answer.status != 200:  # noqa: PLR2004
            raise self._refused(answer.status, body)
        try:
            found: Mapping[str, Any] = json.loads(body)
        except ValueError as error:
            raise UnreachableError(
                f"{self.server} is no Kubernetes API server",
                hint="Where the kubeconfig leads: kubectl config view",
            ) from error
        return found

    def open_channels(self, path: str, query: Sequence[tuple[str, str]]) -> Channels:
        """A WebSocket to something in a pod."""
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
        """Errors of the SDK, and of what it rests on, as errors of ours; nothing that was sent is in them."""
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
        """The API server could not be asked."""
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
                hint="The kubeconfig names the authority: kubectl config view",
            )
        system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
        reason = system.strerror if isinstance(system, OSError) else str(causes[-1]).splitlines()[-1]
        return UnreachableError(
            f"{self.name} ({self.server}{self._proxied()}) does not answer: {reason}", hint=hint
        )

    def _proxied(self) -> str:
        """Which proxy is asked, without the password that its URL may hold."""
        proxy = urlsplit(self._configuration.proxy or "")
        if not proxy.hostname or should_bypass_proxies(self.server, self._configuration.no_proxy or ""):
            return ""
        return f" through the proxy {proxy.hostname}"

    def _refused(self, status: int, body: bytes) -> OcattachError:
        """The API server answered, and said no."""
        message = status_message(body)
        match status:
            case 400:
                return UsageError(f"{self.name} cannot make sense of it: {message}")
            case 401:
                return AuthenticationError(
                    f"{self.name} ({self.server}) does not accept your credentials: {message}",
                    hint=f"They may have expired: log in anew, then try {self.kubectl('get', 'pods')}",
                )
            case 403:
                return self._forbidden(message)
            case 404:
                return NotFoundError(f"{self.name} says: {message}", hint=self.kubectl("get", "pods"))
            case _:
                return UnreachableError(
                    f"{self.name} refused (status {status}): {message}",
                    hint=f"Try: {self.kubectl('get', 'pods')}",
                )

    def _forbidden(self, message: str) -> ForbiddenError:
        said = FORBIDDEN.search(message)
        if not said:
            return ForbiddenError(
                f"{self.name} forbids it: {message}", hint=self.kubectl("auth", "can-i", "--list")
            )
        where = f" in namespace {said['namespace']}" if said["namespace"] else ""
        return ForbiddenError(
            f"{said['user']} may not {said['verb']} {said['resource']}{where}",
            hint=f"Ask for a role with it, then check: {self.kubectl('auth', 'can-i', said['verb'], said['resource'])}",
        )

    def close(self) -> None:
        """Let go of connections and key files. Closing twice is harmless."""
        self._client.rest_client.close()
        self._keys.cleanup()


def key_directory(runtime: Path) -> "tempfile.TemporaryDirectory[str]":
    """Where the client's library finds keys that it wants as files; what a killed link has left is removed.

    It reads them again for every connection it makes (kubernetes/client/rest.py, 37).
    """
    for left in runtime.glob(f"{KEYS}*"):
        if not is_alive(int(left.name.removeprefix(KEYS).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(
        prefix=f"{KEYS}{os.getpid()}-", dir=runtime, ignore_cleanup_errors=True
    )


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, the innermost last."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        inner = getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__


def status_message(body: bytes | str) -> str:
    """What a Status object, or an answer that should have been one, says."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200] or "no reason given"
