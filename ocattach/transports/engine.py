"""An engine that speaks Docker's API: how it is reached, and what its errors mean.

Docker and Podman differ by the address alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ocattach.errors import AuthenticationError, OcattachError, TimedOutError, UnreachableError
from ocattach.transports.base import Ask
from ocattach.transports.optional import without_module

# docker/transport/__init__.py (7.2) imports paramiko wherever it is installed; engines behind ssh are ours to reach.
with without_module("paramiko"):
    import docker
    import requests
    from docker.errors import APIError, DockerException
    from docker.tls import TLSConfig


Refused = Callable[[int, str], OcattachError | None]
"""What a status code and the engine's explanation mean; None leaves it to the engine."""


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where an engine listens, and how it is to be addressed there."""

    url: str
    """`unix:///PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST:PORT/PATH-OF-SOCKET`."""

    cert_path: str | None = None
    """Folder with ca.pem, cert.pem and key.pem, which makes tcp:// speak TLS."""


class Engine:
    """An engine at an address; nothing is dialled before `client` is first used."""

    def __init__(self, address: EngineAddress, *, name: str, program: str, ask: Ask, timeout: float) -> None:
        self.address = address
        self.name = name
        """As people write it: "Docker"."""

        self.program = program
        """Its command line, for hints: "docker"."""

        self._ask = ask
        self._timeout = timeout
        self._client: docker.APIClient | None = None

    @property
    def client(self) -> docker.APIClient:
        """The SDK's connection to the engine, opened on first use."""
        if self._client is None:
            with self.translated():
                self._client = docker.APIClient(
                    **self._arguments(), version="auto", timeout=int(self._timeout)
                )
        return self._client

    def _arguments(self) -> dict[str, Any]:
        if self.address.url.startswith("ssh://"):
            raise UnreachableError(
                f"{self.name} engines behind ssh ({self.address.url}) cannot be used yet",
                hint="Run ocattach on that host, or forward the engine's socket: ssh -L",
            )
        arguments: dict[str, Any] = {"base_url": self.address.url}
        if self.address.cert_path:
            at = self.address.cert_path
            arguments["tls"] = TLSConfig(
                client_cert=(f"{at}/cert.pem", f"{at}/key.pem"), ca_cert=f"{at}/ca.pem", verify=True
            )
        return arguments

    @contextmanager
    def translated(self, refused: Refused | None = None) -> Iterator[None]:
        """Errors of the SDK as errors of ours; `refused` may know better what an answer means."""
        try:
            yield
        except APIError as error:
            explanation = str(error.explanation or error)
            better = refused(error.status_code or 0, explanation) if refused else None
            raise better or UnreachableError(f"{self.name} refused: {explanation}") from error
        except (DockerException, requests.exceptions.RequestException, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> OcattachError:
        """The engine could not be asked, or did not answer."""
        if isinstance(error, requests.exceptions.Timeout | TimeoutError):
            return TimedOutError(f"The {self.name} engine did not answer in {self._timeout:.0f} s")
        if "Permission denied" in str(error) or "PermissionError" in str(error):
            return AuthenticationError(
                f"This account may not use the {self.name} engine at {self.address.url}",
                hint="Add yourself to the engine's group (usermod -aG docker $USER), and log in again",
            )
        return UnreachableError(
            f"The {self.name} engine at {self.address.url} does not answer: {root_cause(error)}",
            hint=f"Is it running? Try: {self.program} info",
        )

    def close(self) -> None:
        """Let go of every connection. Closing twice is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None


def root_cause(error: BaseException) -> str:
    """The innermost reason, without the wrapping that the SDK and requests add."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)
