"""An engine with Docker's API, and the translation of its errors."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from ocattach.errors import OcattachError
from ocattach.execution import Stream, on_error
from ocattach.transports.base import ODD_SHAPE, Ask
from ocattach.transports.containers.engine_errors import EngineErrors, Refused, reasons
from ocattach.transports.containers.engine_http import EngineAdapter, EngineConnection
from ocattach.transports.containers.engine_streams import Dialer, EngineAddress, dialer
from ocattach.transports.optional import without_module

# docker/transport/__init__.py (7.2) imports paramiko if it is installed; we dial engines behind ssh ourselves.
with without_module("paramiko"):
    import docker
    import requests
    from docker.errors import APIError, DockerException

EXIT_CODE_SECONDS = 5
"""Time for the engine to report the exit code of a command whose output has ended."""

START_DIRECTORY = "/"
"""Where commands start: the image's WORKDIR need not exist, and the account may not be allowed to enter it."""

NO_DETACHING = ",".join(["ctrl-@"] * 16)
"""Detach keys that no terminal sends. With the default, Ctrl-P Ctrl-Q, engines hold Ctrl-P back until the next key."""

# The SDK (7.2) reads docker's configuration for registries and proxies, which are not used here; it would block on a
# named pipe, and fail on a file that is not an object.
vars(docker)["utils"].config.load_general_config = lambda *_: {"auths": {}}


class EngineClient(docker.APIClient):
    """The SDK's client over our own connections."""

    _get: Any
    _url: Any
    _raise_for_status: Any

    def __init__(self, connections: Dialer, *, timeout: float) -> None:
        self._adapter = EngineAdapter(connections)
        with on_error(self._adapter.close):
            super().__init__(base_url="unix:///engine", version="auto", timeout=int(timeout))
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

    def start_exec(
        self, container: str, argv: Sequence[str], *, user: str, tty: bool
    ) -> tuple[str, Stream, bytes]:
        """Start a command and return the id of its exec, its stream, and the bytes already read from that."""
        created = self.exec_create(
            container,
            list(argv),
            stdin=True,
            tty=tty,
            user=user,
            workdir=START_DIRECTORY,
            detach_keys=NO_DETACHING,
        )
        return created["Id"], *self.open_exec(created["Id"], tty=tty)

    def open_exec(self, identifier: str, *, tty: bool = False) -> tuple[Stream, bytes]:
        """Start an exec; return its stream, which the caller closes, and the bytes read along with the headers.

        docker-py returns a socket without its reader's buffer, so that output received with the headers would be lost
        (docker/api/client.py, _get_raw_response_socket, 7.2).
        """
        opened: Any = self.exec_start(identifier, tty=tty, socket=True)
        response = opened._response  # noqa: SLF001
        connection: EngineConnection = response.raw.connection
        reader = response.raw._fp.fp  # noqa: SLF001
        stream = connection.take_stream()
        stream.socket.setblocking(False)
        early: bytes = reader.read1(65536) or b""
        stream.socket.setblocking(True)
        response.close()
        return stream, early

    def await_exit_code(self, identifier: str, deadline: float) -> int | None:
        """Return the exit code of an exec whose output has ended; None if it is not reported in time.

        The engine has until the deadline, and EXIT_CODE_SECONDS at the least.
        """
        deadline = max(deadline, time.monotonic() + EXIT_CODE_SECONDS)
        while time.monotonic() < deadline:
            code = self.exec_inspect(identifier)["ExitCode"]
            if code is not None:
                return int(code)
            time.sleep(0.01)
        return None

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
        ask: Callable[[], Ask],
        timeout: float,
        remembers: bool = True,
    ) -> None:
        self.address = address
        self._program = program
        self._errors = EngineErrors(name, program, address.url, address.cert_path, timeout)
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
                    self.address,
                    program=self._program,
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
            raise self._errors.odd() from error

    def _own_error(self, error: Exception, refused: Refused | None) -> OcattachError:
        """Return our error for the outermost cause that is known."""
        errors, chain = self._errors, reasons(error)
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
        return errors.silent(getattr(chain[-1], "strerror", None) or str(chain[-1]))

    def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None
