"""An engine that speaks Docker's API: how it is reached, and what its errors mean.

Docker and Podman differ by the address alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ocattach.errors import OcattachError
from ocattach.execution import Stream
from ocattach.transports.base import Ask
from ocattach.transports.containers.engine_errors import EngineErrors, Refused, reasons
from ocattach.transports.containers.engine_http import EngineAdapter, EngineConnection
from ocattach.transports.containers.engine_streams import Dialer, dialer
from ocattach.transports.optional import without_module

# docker/transport/__init__.py (7.2) imports paramiko wherever it is installed; engines behind ssh are ours to reach.
with without_module("paramiko"):
    import docker
    import requests
    from docker.errors import APIError, DockerException


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where an engine listens, and how it is to be addressed there."""

    url: str
    """`unix:///PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST:PORT/PATH-OF-SOCKET`."""

    cert_path: str | None = None
    """Folder with ca.pem, cert.pem and key.pem, which makes tcp:// speak TLS."""

    verifies: bool = True
    """Whether the certificate of an engine that speaks TLS has to be right."""

    identity: str | None = None
    """Path of the key for an engine behind ssh; None leaves it to ssh's own configuration."""


class EngineClient(docker.APIClient):
    """The SDK's client, over connections of ours alone."""

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
        self.trust_env = False  # neither a proxy nor ~/.netrc has a say here

    def _retrieve_server_version(self) -> str:
        """The version of the API, asked of the path that costs nothing: for /version podman runs programs (4.3.1)."""
        try:
            answer = self._get(self._url("/_ping", versioned_api=False))
            self._raise_for_status(answer)
        except (OcattachError, OSError) as error:
            raise DockerException(str(error)) from error
        version: str | None = answer.headers.get("Api-Version")
        return version or str(self.version(api_version=False)["ApiVersion"])

    def get_adapter(self, url: Any) -> Any:  # noqa: ARG002 - every URL is the engine's
        """What carries a request."""
        return self._adapter

    def open_exec(self, identifier: str) -> tuple[Stream, bytes]:
        """Start an exec: its stream, which the caller closes, and the bytes of it that were read with the headers.

        docker-py hands out a socket and forgets its reader's buffer: output that came in one packet with the
        headers would be lost (docker/api/client.py, _get_raw_response_socket, 7.2).
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
        """Let go of every connection."""
        super().close()
        self._adapter.close()


class Engine:
    """An engine at an address; nothing is dialled before `client` is first used."""

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
        """As people write it: "Docker"."""

        self.program = program
        """Its command line, for hints: "docker"."""

        self._ask = ask
        self._timeout = timeout
        self._remembers = remembers
        self._client: EngineClient | None = None

    @property
    def client(self) -> EngineClient:
        """The SDK's connection to the engine, opened on first use."""
        if self._client is None:
            with self.translated():
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
    def translated(self, refused: Refused | None = None) -> Iterator[None]:
        """Errors of the SDK as errors of ours; `refused` may know better what an answer means."""
        try:
            yield
        except (APIError, DockerException, requests.exceptions.RequestException, OSError) as error:
            raise self._translated(error, refused) from error

    def _translated(self, error: Exception, refused: Refused | None) -> OcattachError:
        """Our word for an error, by the outermost reason of which we know more than the SDK says."""
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
        """Let go of every connection. Closing twice is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None
