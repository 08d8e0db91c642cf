"""Containers of an engine with Docker's API; commands run in them by `exec`."""

import os
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import ContainerTarget
from ocattach.daemon import DaemonSettings, DaemonStatus, Probe
from ocattach.daemon.listener import find_listener
from ocattach.errors import (
    ConnectionLostError,
    EnvironmentNotRunningError,
    OcattachError,
    TimedOutError,
)
from ocattach.execution import CommandResult, Stream
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Availability, Plan, Question
from ocattach.transports.command import CommandTransport
from ocattach.transports.containers.devcontainer import DevContainer, read_dev_container
from ocattach.transports.containers.direct import DirectPort, candidates, find_direct
from ocattach.transports.containers.engine import Engine
from ocattach.transports.containers.engine_streams import EngineAddress
from ocattach.transports.containers.exec_stream import ExecStream, run_exec, split_frames
from ocattach.transports.containers.lookup import (
    description,
    exec_command,
    not_found,
    replicas,
    running,
    start_hint,
)
from ocattach.transports.containers.state import (
    UNKNOWN_USER,
    check_running,
    check_started,
    check_steady,
    unknown_user,
)
from ocattach.transports.foreground import AttachedCommand, terminal_output
from ocattach.transports.loader import LOADER, loader_input, started

if TYPE_CHECKING:
    from ocattach.tunnel.route import Route

NOT_STARTED = (126, 127)

NOT_FOUND = 404
NO_CONTAINER = "no such container"
REFUSED = (NOT_FOUND, 409, 500)
"""Docker answers 409 (conflict) for a container that is not running, Podman also 500."""

LISTENER_SECONDS = 5


class ContainerTransport(CommandTransport):
    """A container. It needs no published ports and no software besides a shell and OpenCode.

    Subclasses name the engine and find its address.
    """

    prepares_relay = True
    engine_name: ClassVar[str]
    """The name in messages: "Docker"."""

    program: ClassVar[str]
    """The command line, for hints: "docker"."""

    target_class: ClassVar[type[ContainerTarget]]

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, self.target_class):
            raise TypeError(spec.target)
        self._engine: Engine | None = None
        self._owned = ExitStack()
        """Closes the engine, unless that belongs to another handler."""
        self._container: Mapping[str, Any] | None = None
        self._replica: str | None = None
        self._started_at: str | None = None

    @abstractmethod
    def engine_address(self) -> EngineAddress:
        """Return the engine's address. Called on first use, and again after `disconnect`."""

    @abstractmethod
    def engine_place(self) -> tuple[str, tuple[str, ...]]:
        """Return the engine's address for `plan`, as a phrase and as options of its command line."""

    def plan(self) -> Plan:
        where, options = self.engine_place()
        return Plan(
            f"{self.engine_name} at {where}",
            command=exec_command(self.target, self.program, options),
            routes=(
                "direct, if the kernel shows that a port of this machine ends at the daemon's own socket",
                "relay: one exec that carries all connections",
            ),
        )

    @property
    def place(self) -> str:
        return f"container {self.target.container}" if self.target.container else description(self.target)

    @property
    def target(self) -> ContainerTarget:
        """The target of the connection."""
        return cast("ContainerTarget", self.spec.target)

    @property
    def user(self) -> str | None:
        """The account that commands run as; None for the container's own."""
        return self.target.user or self.dev_container().user

    @property
    def settings(self) -> DaemonSettings:
        return self.dev_container().settings(super().settings)

    def dev_container(self) -> DevContainer:
        """Return what the labels of a dev container say; nothing for other containers."""
        if self.target.devcontainer is None:
            return DevContainer()
        with self.engine.errors_translated():
            allowed = (*self.spec.forward_env, *self.target.local_env)
            return read_dev_container(self.known_container(), local=os.environ, allowed=allowed)

    @property
    def engine(self) -> Engine:
        """The engine, created on first use."""
        if self._engine is None:
            address = self.engine_address()
            if not self.target.allow_plain_password:
                address.check_encrypted(self.program)
            self._engine = Engine(
                address,
                name=self.engine_name,
                program=self.program,
                ask=lambda: self.ask,
                timeout=self.timeout,
                remembers=self.remembers,
            )
            self._owned.callback(self._engine.close)
        return self._engine

    def connection_key(self) -> str:
        target = self.target.pinned(os.environ)
        return repr((self.scheme, target.host, target.context, target.cert_path, target.allow_plain_password))

    def open_connection(self) -> None:
        _ = self.engine.client

    def share(self, other: Self) -> None:
        self._engine = other.engine

    def errors_translated(self) -> AbstractContextManager[None]:
        """Translate errors of the SDK about requests for this container."""
        return self.engine.errors_translated(self.refused)

    def refused(self, status: int, explanation: str) -> OcattachError | None:
        """Return the error for a refused request, if it concerns the container."""
        if UNKNOWN_USER in explanation:
            return unknown_user(self.user, self.place, self.program, self.container_name())
        if status in REFUSED:
            check_steady(self.container(), since=self._started_at, program=self.program)
            return EnvironmentNotRunningError(
                f"{self.engine_name} cannot run commands in {self.place}: {explanation}",
                hint=f"Try: {command_line(self.program, 'exec', self.container_name(), 'true')}",
            )
        return None

    def absent(self, status: int, explanation: str) -> OcattachError | None:
        """Return the error for a container that the engine does not have."""
        if status != NOT_FOUND:
            return None
        cause = "" if NO_CONTAINER in explanation.lower() else f": {explanation}"
        message = f"{self.engine_name} has no {self.place}{cause}"
        return not_found(self.engine, self.target.container or "", message=message, program=self.program)

    def container(self) -> Mapping[str, Any]:
        """Return the container as the engine describes it (`docker inspect`)."""
        name = self.container_name()
        with self.engine.errors_translated(self.absent):
            found: Mapping[str, Any] = self.engine.client.inspect_container(name)
            self._container = found
            return found

    def known_container(self) -> Mapping[str, Any]:
        """Return the container as it was last described."""
        return self._container or self.container()

    def container_name(self) -> str:
        """Return the name or id of the container; of several, always the same one."""
        if self.target.container:
            return self.target.container
        if self._replica is None:
            self._replica = self.replicas()[0]
        return self._replica

    def replicas(self) -> list[str]:
        """Return the ids of the containers that a target without a name means, the preferred one first."""
        return replicas(self.engine, self.target, name=self.engine_name, program=self.program)

    def check_available(self) -> Availability:
        found = [] if self.target.container else self.replicas()
        self._replica = found[0] if found else None
        container = self.container()
        with self.engine.errors_translated():
            start = start_hint(self.target, self.program) if self.target.devcontainer else ""
            check_running(container, program=self.program, start_hint=start)
            self._started_at = container["State"].get("StartedAt")
            name = container["Name"].lstrip("/")
        return Availability(running(name, len(found), self.target))

    def start_daemon(self) -> DaemonStatus:
        if withheld := ", ".join(self.dev_container().withheld):
            allowed = "Only variables that the connection lists (local_env, forward_env) are"
            self.ask(Question(f"Not passed to the dev container: {withheld}. {allowed}", notice=True))
        return super().start_daemon()

    def default_workdir(self) -> str | None:
        with self.engine.errors_translated():
            return self.known_container()["Config"].get("WorkingDir") or None

    def probe(self) -> Probe:
        try:
            return super().probe()
        except ConnectionLostError:
            check_steady(self.container(), since=self._started_at, program=self.program)
            raise

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        deadline = time.monotonic() + timeout
        exec_id, stream, early = self.start_exec(LOADER)
        command = loader_input(argv, has_more=bool(stdin))
        with closing(stream), self.errors_translated():
            stdout, stderr = run_exec(stream, early, command + stdin, deadline, place=self.place)
        code = self.exit_code(exec_id, deadline)
        result = CommandResult(code, stdout, stderr)
        if code in NOT_STARTED:
            name = self.container_name()
            check_started(result, user=self.user, place=self.place, program=self.program, name=name)
        return result

    def start_exec(self, argv: Sequence[str], *, tty: bool = False) -> tuple[str, Stream, bytes]:
        """Start a command and return the id of its exec, its stream, and the bytes already read from that."""
        with self.errors_translated():
            client, name, user = self.engine.client, self.container_name(), self.user or ""
            return client.start_exec(name, argv, user=user, tty=tty)

    def exit_code(self, exec_id: str, deadline: float = 0) -> int:
        """Wait for the exit code of a command whose output has ended."""
        with self.errors_translated():
            code = self.engine.client.await_exit_code(exec_id, deadline)
        if code is None:
            raise TimedOutError(
                f"{self.engine_name} did not report the exit code of a command in {self.place}"
            )
        return code

    def open_stream(self, argv: Sequence[str]) -> Stream:
        _, stream, early = self.start_exec(LOADER)
        return started(ExecStream(stream, early), argv, self.place)

    def open_foreground(self, argv: Sequence[str], *, size: os.terminal_size | None) -> AttachedCommand:
        has_terminal = size is not None
        identifier, stream, early = self.start_exec(argv, tty=has_terminal)
        split = terminal_output if has_terminal else split_frames()

        def resize(new: os.terminal_size) -> None:
            with self.errors_translated():
                self.engine.client.exec_resize(identifier, height=new.lines, width=new.columns)

        return AttachedCommand(ExecStream(stream, early), split, resize, lambda: self.exit_code(identifier))

    def routes(self, port: int) -> "Iterator[Callable[[], Route]]":
        """Yield the direct route if a local port is certainly the daemon's, then the relay."""
        from ocattach.tunnel.route import DialRoute  # noqa: PLC0415 - asyncio, loaded as the daemon is looked for

        direct = self.direct_port(port)
        if direct is not None:
            self.early_relay.end()
            yield lambda: DialRoute("direct", direct.dial)
        yield from super().routes(port)

    def direct_port(self, port: int) -> DirectPort | None:
        """Return the local port that leads to the daemon, for an engine on this machine.

        With an engine elsewhere, the password would cross the network unencrypted.
        """
        daemon = self._daemon
        if daemon is None or daemon.port != port or not self.engine.address.url.startswith("unix://"):
            return None
        return find_direct(
            candidates(self.known_container(), daemon.host, port),
            lambda: find_listener(self.run, pid=daemon.pid, port=port, timeout=LISTENER_SECONDS),
        )

    def disconnect(self) -> None:
        super().disconnect()
        self._engine = None
        self._owned.close()
