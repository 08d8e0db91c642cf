"""Docker containers, through the engine's API."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import DockerTarget
from ocattach.errors import (
    AuthenticationError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.execution import CommandResult, Stream
from ocattach.transports.base import Ask, Availability
from ocattach.transports.command import CommandTransport
from ocattach.transports.exec_stream import ExecDecoder, ExecStream
from ocattach.transports.optional import without_module

EXEC_FAILED = b"OCI runtime exec failed"
NOT_FOUND_TEXTS = (b"executable file not found", b"no such file or directory")
"""How runc words it; the engine gives exit code 126 or 127 and this text on stdout."""

EXIT_CODE_SECONDS = 5
"""How long the engine may take to know the exit code of a command whose output has ended."""

NOT_RUNNING_HINTS = {
    "created": "docker start {name}",
    "exited": "docker start {name}",
    "paused": "docker unpause {name}",
    "restarting": "docker logs {name}",
    "dead": "docker rm {name}, and create it again",
    "removing": "docker ps --all",
}


# docker/transport/__init__.py (7.2) imports paramiko wherever it is installed; only engines behind ssh need it.
with without_module("paramiko"):
    import docker
    import requests
    from docker.errors import APIError, DockerException, NotFound
    from docker.utils import kwargs_from_env


class DockerTransport(CommandTransport):
    """A container; commands run by `exec`, nothing has to be published or installed in it."""

    scheme = "docker"
    engine_name = "Docker"

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, DockerTarget):
            raise TypeError(spec.target)
        self._target = spec.target
        self._client: docker.APIClient | None = None

    @property
    def place(self) -> str:
        return f"container {self._target.container or self._target.compose_service}"

    @property
    def client(self) -> docker.APIClient:
        """The connection to the engine, opened on first use."""
        if self._client is None:
            with self.translated():
                self._client = docker.APIClient(
                    **self.engine_arguments(), version="auto", timeout=int(self.timeout)
                )
        return self._client

    def engine_arguments(self) -> dict[str, Any]:
        """Where the engine is: the connection's own host, else what DOCKER_HOST and its companions say."""
        if self._target.context:
            return self.context_arguments(self._target.context)
        arguments: dict[str, Any] = dict(kwargs_from_env())
        if self._target.host:
            arguments["base_url"] = self._target.host
        if str(arguments.get("base_url", "")).startswith("ssh://"):
            raise UnreachableError(
                f"{self.engine_name} engines behind ssh ({arguments['base_url']}) cannot be used yet",
                hint="Run ocattach on that host, or forward the engine's socket: ssh -L",
            )
        return arguments

    def context_arguments(self, name: str) -> dict[str, Any]:
        """Where the engine of a docker context is."""
        from docker.context import ContextAPI  # noqa: PLC0415 - only where a context is named

        context = ContextAPI.get_context(name)
        if context is None:
            raise EnvironmentNotFoundError(
                f"There is no docker context {name}", hint="Try: docker context ls"
            )
        return {"base_url": context.Host, "tls": context.TLSConfig}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the SDK as errors of ours."""
        try:
            yield
        except NotFound as error:
            raise self.not_found(str(error.explanation or error)) from error
        except APIError as error:
            raise self.refused(error) from error
        except (DockerException, requests.exceptions.RequestException, OSError) as error:
            raise self.engine_error(error) from error

    def engine_error(self, error: Exception) -> OcattachError:
        """The engine could not be asked, or did not answer."""
        if isinstance(error, requests.exceptions.Timeout | TimeoutError):
            return TimedOutError(f"The {self.engine_name} engine did not answer in {self.timeout:.0f} s")
        where = self.engine_arguments().get("base_url", "its default socket")
        if "Permission denied" in str(error) or "PermissionError" in str(error):
            return AuthenticationError(
                f"This account may not use the {self.engine_name} engine at {where}",
                hint="Add yourself to the engine's group (usermod -aG docker $USER), and log in again",
            )
        return UnreachableError(
            f"The {self.engine_name} engine at {where} does not answer: {root_cause(error)}",
            hint=f"Is it running? Try: {self.scheme} info",
        )

    def refused(self, error: APIError) -> OcattachError:
        """The engine answered, and said no."""
        explanation = str(error.explanation or error)
        if error.status_code == requests.codes.conflict:
            return EnvironmentNotRunningError(
                f"{self.engine_name} cannot run commands in {self.place}: {explanation}"
            )
        return UnreachableError(f"{self.engine_name} refused: {explanation}")

    def not_found(self, explanation: str) -> OcattachError:
        """There is no such container; say which there are that look like it."""
        from difflib import get_close_matches  # noqa: PLC0415 - only for this error

        wanted = self._target.container or ""
        names = [name.lstrip("/") for entry in self.client.containers(all=True) for name in entry["Names"]]
        near = get_close_matches(wanted, names, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"See what there is: {self.scheme} ps --all"
        return EnvironmentNotFoundError(f"{self.engine_name} has no {self.place}: {explanation}", hint=hint)

    def container(self) -> Mapping[str, Any]:
        """What the engine knows of the container."""
        with self.translated():
            found: Mapping[str, Any] = self.client.inspect_container(
                self._target.container or self.compose_container()
            )
            return found

    def compose_container(self) -> str:
        """The id of the compose service's container."""
        project, service = self._target.compose_project, self._target.compose_service
        labels = [f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
        found = self.client.containers(all=True, filters={"label": labels})
        if not found:
            raise EnvironmentNotFoundError(
                f"{self.engine_name} has no container for service {service} of compose project {project}",
                hint=f"docker compose --project-name {project} up --detach {service}",
            )
        return str(found[0]["Id"])

    def check_available(self) -> Availability:
        container = self.container()
        status = container["State"]["Status"]
        if status != "running":
            name = container["Name"].lstrip("/")
            hint = NOT_RUNNING_HINTS.get(status, "docker ps --all").format(name=name)
            raise EnvironmentNotRunningError(
                f"Container {name} is {status}, not running", hint=f"Try: {hint}"
            )
        return Availability("Container is running")

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        deadline = time.monotonic() + timeout
        exec_id, connection, early = self.start_exec(argv)
        decoder = ExecDecoder()
        stdout = bytearray(decoder.feed(early))
        with connection, self.translated():
            for data in exchange(connection, stdin, deadline):
                stdout += decoder.feed(data)
            code = self.exit_code(exec_id, deadline)
        if bytes(stdout).startswith(EXEC_FAILED) and any(text in stdout for text in NOT_FOUND_TEXTS):
            return CommandResult(127, b"", bytes(stdout))
        return CommandResult(code, bytes(stdout), decoder.stderr)

    def start_exec(self, argv: Sequence[str]) -> tuple[str, socket.socket, bytes]:
        """Start a command: its id, the connection to it, and what the SDK had already read from that."""
        with self.translated():
            container = self._target.container or self.compose_container()
            created = self.client.exec_create(container, list(argv), stdin=True, user=self._target.user or "")
            opened = self.client.exec_start(created["Id"], socket=True)
            return created["Id"], *detach(opened)

    def exit_code(self, exec_id: str, deadline: float) -> int:
        """The exit code of a command whose output has ended."""
        deadline = max(deadline, time.monotonic() + EXIT_CODE_SECONDS)
        while time.monotonic() < deadline:
            code = self.client.exec_inspect(exec_id)["ExitCode"]
            if code is not None:
                return int(code)
            time.sleep(0.01)
        raise TimedOutError(f"{self.engine_name} does not tell how a command in {self.place} ended")

    def open_stream(self, argv: Sequence[str]) -> Stream:
        _, connection, early = self.start_exec(argv)
        return ExecStream(connection, early)

    def disconnect(self) -> None:
        super().disconnect()
        if self._client is not None:
            self._client.close()
            self._client = None


def root_cause(error: BaseException) -> str:
    """The innermost reason, without the wrapping that the SDK and requests add."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)


def detach(opened: Any) -> tuple[socket.socket, bytes]:
    """The socket of an exec, and the bytes the HTTP layer read past the answer's headers.

    docker-py hands out the raw socket and forgets its reader's buffer: output that came in one packet with the
    headers would be lost (docker/api/client.py, _get_raw_response_socket, 7.2).
    """
    response = opened._response  # noqa: SLF001
    connection: socket.socket = getattr(opened, "_sock", opened)
    reader = response.raw._fp.fp  # noqa: SLF001
    connection.setblocking(False)
    early: bytes = reader.read1(65536) or b""
    own = connection.dup()
    own.setblocking(True)
    response.close()
    return own, early


def exchange(connection: socket.socket, stdin: bytes, deadline: float) -> Iterator[bytes]:
    """Send all of stdin and its end while reading what comes, until the other side ends; blocks on neither."""
    import selectors  # noqa: PLC0415

    connection.setblocking(False)
    unsent = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while True:
            events = selector.select(max(0, deadline - time.monotonic()))
            if not events:
                raise TimedOutError("The command did not end in time")
            for _, ready in events:
                if ready & selectors.EVENT_WRITE:
                    unsent = unsent[connection.send(unsent) :] if unsent else unsent
                    if not unsent:
                        connection.shutdown(socket.SHUT_WR)
                        selector.modify(connection, selectors.EVENT_READ)
                if ready & selectors.EVENT_READ:
                    data = connection.recv(65536)
                    if not data:
                        return
                    yield data
