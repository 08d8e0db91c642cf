"""An engine with Docker's API, and the translation of its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from ocattach.errors import AuthenticationError, OcattachError, UnreachableError
from ocattach.execution import Stream
from ocattach.opencode.endpoint import is_loopback
from ocattach.transports.base import ODD_SHAPE, Ask
from ocattach.transports.containers.engine_errors import EngineErrors, Refused, reasons
from ocattach.transports.containers.engine_http import EngineAdapter, EngineConnection
from ocattach.transports.containers.engine_streams import Dialer, dialer
from ocattach.transports.optional import without_module

# docker/transport/__init__.py (7.2) imports paramiko if it is installed; we dial engines behind ssh ourselves.
with without_module("paramiko"):
    import docker
    import requests
    from docker.errors import APIError, DockerException


PLAIN_SCHEMES = ("tcp", "http")

TLS_BY = {"docker": "DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or cert_path", "podman": "cert_path"}
"""How each engine's connection gets certificates."""


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """The address of an engine, with its certificates or key."""

    url: str
    """`unix:///PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST:PORT/PATH-OF-SOCKET`."""

    cert_path: str | None = None
    """Folder with ca.pem, cert.pem and key.pem for TLS over tcp://."""

    verifies: bool = True
    """Whether the engine's certificate is verified."""

    identity: str | None = None
    """Path of the key for an engine behind ssh; None for the ssh configuration's keys."""

    def check_encrypted(self, program: str) -> None:
        """Raise AuthenticationError if others on the network could read the daemon's password on its way."""
        url = urlsplit(self.url)
        is_plain = url.scheme in PLAIN_SCHEMES and self.cert_path is None and self.verifies
        if is_plain and not is_loopback(url.hostname or ""):
            raise AuthenticationError(
                f"{self.url} is not encrypted: a password is not sent to another machine in the clear",
                hint=f"Use TLS ({TLS_BY[program]}) or ssh://, or allow it in a connection of your own: "
                "allow_plain_password: true",
            )


class EngineClient(docker.APIClient):
    """The SDK's client over our own connections."""

    _get: Any
    _url: Any
    _raise_for_status: Any

    def __init__(self, connections: Dialer, *, timeout: float) -> None:
        self._adapter = EngineAdapter(connections)
        try:
            super().__init__(base_url="unix:///engine", version="auto", timeout=int(timeout))
        except BaseException:
            self._adapter.close()
            raise
        self.trust_env = False  # ignore proxies and ~/.netrc

    def _retrieve_server_version(self) -> str:
        """Return the API version from /_ping, which is cheap: for /version podman (4.3.1) runs programs."""
        try:
            answer = self._get(self._url("/_ping", versioned_api=False))
            self._raise_for_status(answer)
        except (OcattachError, OSError) as error:
            raise DockerException(str(error)) from error
        version: str | None = answer.headers.get("Api-Version")
        return version or str(self.version(api_version=False)["ApiVersion"])

    def get_adapter(self, url: Any) -> Any:  # noqa: ARG002 - all URLs use the same adapter
        return self._adapter

    def open_exec(self, identifier: str) -> tuple[Stream, bytes]:
        """Start an exec; return its stream, which the caller closes, and the bytes read along with the headers.

        docker-py returns a socket without its reader's buffer, so that output received with the headers would be lost
        (docker/api/client.py, _get_raw_response_socket, 7.2).
        """
        opened: Any = self.exec_start(identifier, socket=True)
        response = opened._response  # noqa: SLF001
        connection: EngineConnection = response.raw.connection
        reader = response.raw._fp.fp  # noqa: SLF001
        stream = connection.take_stream()
        stream.socket.setblocking(False)
        early: bytes = reader.read1(65536) or b""
        stream.socket.setblocking(True)
        response.close()
        return stream, early

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._adapter.close()


class Engine:
    """An engine at an address. Nothing is dialled before the first use of `client`."""

    def __init__(
        self,
        address: EngineAddress,
        *,
        name: str,
        program: str,
        ask: Ask,
        timeout: float,
        remembers: bool = True,
    ) -> None:
        self.address = address
        self.name = name
        """The name in messages: "Docker"."""

        self.program = program
        """The command line, for hints: "docker"."""

        self._ask = ask
        self._timeout = timeout
        self._remembers = remembers
        self._client: EngineClient | None = None

    @property
    def client(self) -> EngineClient:
        """The SDK's client, created on first use."""
        if self._client is None:
            with self.errors_translated():
                connections = dialer(
                    self.address.url,
                    cert_path=self.address.cert_path,
                    verifies=self.address.verifies,
                    identity=self.address.identity,
                    program=self.program,
                    ask=self._ask,
                    timeout=self._timeout,
                    remembers=self._remembers,
                )
                self._client = EngineClient(connections, timeout=self._timeout)
        return self._client

    @contextmanager
    def errors_translated(self, refused: Refused | None = None) -> Iterator[None]:
        """Translate errors of the SDK; `refused` may return a more specific error for an answer."""
        try:
            yield
        except (APIError, DockerException, requests.exceptions.RequestException, OSError) as error:
            raise self._own_error(error, refused) from error
        except (*ODD_SHAPE, HTTPException) as error:
            raise UnreachableError(
                f"The {self.name} engine at {self.address.url} gave an answer that makes no sense",
                hint=f"Check the engine: {self.program} info",
            ) from error

    def _own_error(self, error: Exception, refused: Refused | None) -> OcattachError:
        """Return our error for the outermost cause that is known."""
        errors = EngineErrors(
            self.name, self.program, self.address.url, self.address.cert_path, self._timeout
        )
        chain = reasons(error)
        for reason in chain:
            if isinstance(reason, APIError):
                explanation = str(reason.explanation or reason)
                better = refused(reason.status_code or 0, explanation) if refused else None
                return better or errors.refused(explanation)
            if isinstance(reason, requests.exceptions.Timeout):
                return errors.known(TimeoutError()) or errors.silent(str(reason))
            known = errors.known(reason)
            if known is not None:
                return known
        return errors.silent(str(chain[-1]))

    def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None
