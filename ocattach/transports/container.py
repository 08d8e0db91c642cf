"""Containers of any engine that speaks Docker's API: one is looked at, and commands run in it by `exec`."""

import socket
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, ClassVar

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import ContainerTarget
from ocattach.errors import EnvironmentNotFoundError, EnvironmentNotRunningError, OcattachError, TimedOutError
from ocattach.execution import CommandResult, Stream, check_output
from ocattach.transports.base import Ask, Availability, Question
from ocattach.transports.command import CommandTransport
from ocattach.transports.container_state import check_running
from ocattach.transports.engine import Engine, EngineAddress, EngineClient
from ocattach.transports.exec_stream import ExecDecoder, ExecStream

EXEC_FAILED = b"OCI runtime exec failed"
NOT_FOUND_TEXTS = (b"executable file not found", b"no such file or directory")
"""How runc words it; the engine gives exit code 126 or 127 and this text on stdout."""

EXIT_CODE_SECONDS = 5
"""How long the engine may take to know the exit code of a command whose output has ended."""

NOT_FOUND, CONFLICT = 404, 409


class ContainerTransport(CommandTransport):
    """A container; nothing has to be published or installed in it.

    Who makes one of it says which engine: `engine_address`, and the names by which people know it.
    """

    engine_name: ClassVar[str]
    """As people write it: "Docker"."""

    program: ClassVar[str]
    """The engine's command line, for hints: "docker"."""

    target_class: ClassVar[type[ContainerTarget]]

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, self.target_class):
            raise TypeError(spec.target)
        self.target: ContainerTarget = spec.target
        self._engine: Engine | None = None

    @abstractmethod
    def engine_address(self) -> EngineAddress:
        """Where the engine is; asked once, when it is first needed, and again after `disconnect`."""

    @property
    def place(self) -> str:
        return f"container {self.target.container or self.target.compose_service}"

    @property
    def engine(self) -> Engine:
        """The engine, found on first use."""
        if self._engine is None:
            self._engine = Engine(
                self.engine_address(),
                name=self.engine_name,
                program=self.program,
                ask=self.ask_now,
                timeout=self.timeout,
            )
        return self._engine

    def ask_now(self, question: Question) -> str:
        """Put a question to whoever is being served when it comes up."""
        return self.ask(question)

    @property
    def client(self) -> EngineClient:
        """The SDK's client of the engine."""
        return self.engine.client

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the SDK as errors of ours; inside, requests are about this container."""
        with self.engine.translated(self.refused):
            yield

    def refused(self, status: int, explanation: str) -> OcattachError | None:
        """What it means that the engine said no, where that is about the container."""
        if status == NOT_FOUND:
            return self.not_found(explanation)
        if status == CONFLICT:
            return EnvironmentNotRunningError(
                f"{self.engine_name} cannot run commands in {self.place}: {explanation}"
            )
        return None

    def not_found(self, explanation: str) -> OcattachError:
        """There is no such container; say which there are that look like it."""
        from difflib import get_close_matches  # noqa: PLC0415 - only for this error

        wanted = self.target.container or ""
        names = [name.lstrip("/") for entry in self.client.containers(all=True) for name in entry["Names"]]
        near = get_close_matches(wanted, names, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"See what there is: {self.program} ps --all"
        return EnvironmentNotFoundError(f"{self.engine_name} has no {self.place}: {explanation}", hint=hint)

    def container(self) -> Mapping[str, Any]:
        """What the engine knows of the container."""
        with self.translated():
            found: Mapping[str, Any] = self.client.inspect_container(
                self.target.container or self.compose_container()
            )
            return found

    def compose_container(self) -> str:
        """The id of the compose service's container."""
        project, service = self.target.compose_project, self.target.compose_service
        labels = [f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
        found = self.client.containers(all=True, filters={"label": labels})
        if not found:
            raise EnvironmentNotFoundError(
                f"{self.engine_name} has no container for service {service} of compose project {project}",
                hint=f"{self.program} compose --project-name {project} up --detach {service}",
            )
        return str(found[0]["Id"])

    def check_available(self) -> Availability:
        check_running(self.container(), program=self.program)
        return Availability("Container is running")

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        deadline = time.monotonic() + timeout
        exec_id, stream, early = self.start_exec(argv)
        decoder = ExecDecoder()
        stdout = bytearray(decoder.feed(early))
        with closing(stream), self.translated():
            for data in exchange(stream.socket, stdin, deadline):
                stdout += decoder.feed(data)
                check_output(len(stdout) + decoder.kept, self.place)
            code = self.exit_code(exec_id, deadline)
        if bytes(stdout).startswith(EXEC_FAILED) and any(text in stdout for text in NOT_FOUND_TEXTS):
            return CommandResult(127, b"", bytes(stdout))
        return CommandResult(code, bytes(stdout), decoder.stderr)

    def start_exec(self, argv: Sequence[str]) -> tuple[str, Stream, bytes]:
        """Start a command: its id, the stream to it, and what was already read from that."""
        with self.translated():
            container = self.target.container or self.compose_container()
            created = self.client.exec_create(container, list(argv), stdin=True, user=self.target.user or "")
            return created["Id"], *self.client.open_exec(created["Id"])

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
        _, stream, early = self.start_exec(argv)
        return ExecStream(stream, early)

    def disconnect(self) -> None:
        super().disconnect()
        if self._engine is not None:
            self._engine.close()
            self._engine = None


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
