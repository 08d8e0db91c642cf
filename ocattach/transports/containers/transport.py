"""Containers of an engine with Docker's API; commands run in them by `exec`."""

import os
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from typing import Any, ClassVar, Self

from ocattach.config.spec import ConnectionSpec
from ocattach.config.suggestion import closest
from ocattach.config.targets.container import ContainerTarget
from ocattach.daemon import Probe
from ocattach.daemon.listener import find_listener
from ocattach.errors import (
    ConnectionLostError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    OcattachError,
    TimedOutError,
)
from ocattach.execution import CommandResult, Stream, check_output
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.transports.containers.compose import PROJECT_LABEL, SERVICE_LABEL, in_order
from ocattach.transports.containers.direct import DirectPort, candidates, find_direct
from ocattach.transports.containers.engine import Engine
from ocattach.transports.containers.engine_streams import EngineAddress
from ocattach.transports.containers.exec_stream import ExecDecoder, ExecStream, exchange
from ocattach.transports.containers.state import check_running, check_steady, no_shell, unknown_user
from ocattach.transports.loader import LOADER, loader_input, started
from ocattach.tunnel.route import DialRoute, Route

NOT_STARTED = (126, 127)
NOT_FOUND_TEXTS = (b"executable file not found", b"no such file or directory")
"""Messages of runc and crun. Docker gives exit code 126 or 127 and this text on stdout, Podman 127 on stderr."""

UNKNOWN_USER = "unable to find user"
"""Part of Docker's output with exit code 126, and of Podman's error."""

EXIT_CODE_SECONDS = 5
"""Time for the engine to report the exit code of a command whose output has ended."""

NOT_FOUND = 404
REFUSED = (NOT_FOUND, 409, 500)
"""Docker answers 409 (conflict) for a container that is not running, Podman also 500."""

LISTENER_SECONDS = 5


class ContainerTransport(CommandTransport):
    """A container. It needs no published ports and no software besides a shell and OpenCode.

    Subclasses name the engine and find its address.
    """

    engine_name: ClassVar[str]
    """The name in messages: "Docker"."""

    program: ClassVar[str]
    """The command line, for hints: "docker"."""

    target_class: ClassVar[type[ContainerTarget]]

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, self.target_class):
            raise TypeError(spec.target)
        self.target: ContainerTarget = spec.target
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
        target = self.target
        where, options = self.engine_place()
        user = ("--user", target.user) if target.user else ()
        inside: tuple[str, ...] = ("exec", "-i", *user, target.container or "")
        if not target.container:
            project, service = target.compose_project or "", target.compose_service or ""
            inside = ("compose", "--project-name", project, "exec", "-T", *user, service)
        return Plan(
            f"{self.engine_name} at {where}",
            command=(self.program, *options, *inside),
            routes=(
                "direct, if the kernel shows that a port of this machine ends at the daemon's own socket",
                "relay: one exec that carries all connections",
            ),
        )

    @property
    def place(self) -> str:
        return f"container {self.target.container or self.target.compose_service}"

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
            return unknown_user(self.target.user, self.place, self.program, self.container_name())
        if status in REFUSED:
            check_steady(self.container(), since=self._started_at, program=self.program)
            return EnvironmentNotRunningError(
                f"{self.engine_name} cannot run commands in {self.place}: {explanation}",
                hint=f"Try: {command_line(self.program, 'exec', self.container_name(), 'true')}",
            )
        return None

    def absent(self, status: int, explanation: str) -> OcattachError | None:
        """Return the error for a container that the engine does not have."""
        return self.not_found(explanation) if status == NOT_FOUND else None

    def not_found(self, explanation: str) -> OcattachError:
        """Return the error for a missing container, with similar names in the hint."""
        with self.engine.errors_translated():
            entries = self.engine.client.containers(all=True)
            names = [name.lstrip("/") for entry in entries for name in entry["Names"]]
        near = closest(self.target.container or "", names)
        hint = (
            f"Did you mean {' or '.join(near)}?" if near else f"List the containers: {self.program} ps --all"
        )
        return EnvironmentNotFoundError(f"{self.engine_name} has no {self.place}: {explanation}", hint=hint)

    def container(self) -> Mapping[str, Any]:
        """Return the container as the engine describes it (`docker inspect`)."""
        name = self.container_name()
        with self.engine.errors_translated(self.absent):
            found: Mapping[str, Any] = self.engine.client.inspect_container(name)
            self._container = found
            return found

    def container_name(self) -> str:
        """Return the name or id of the container; for a compose service, always of the same replica."""
        if self.target.container:
            return self.target.container
        if self._replica is None:
            self._replica = self.replicas()[0]
        return self._replica

    def replicas(self) -> list[str]:
        """Return the ids of the compose service's containers, the preferred one first."""
        project, service = self.target.compose_project, self.target.compose_service
        with self.engine.errors_translated():
            labels = [f"{PROJECT_LABEL}={project}", f"{SERVICE_LABEL}={service}"]
            found = in_order(self.engine.client.containers(all=True, filters={"label": labels}))
        if not found:
            raise EnvironmentNotFoundError(
                f"{self.engine_name} has no container for service {service} of compose project {project}",
                hint="Start one: "
                + command_line(self.program, "compose", "--project-name", project, "up", "--detach", service),
            )
        return found

    def check_available(self) -> Availability:
        replicas = [] if self.target.container else self.replicas()
        self._replica = replicas[0] if replicas else None
        container = self.container()
        with self.engine.errors_translated():
            check_running(container, program=self.program)
            self._started_at = container["State"].get("StartedAt")
            name = container["Name"].lstrip("/")
        if len(replicas) < 2:  # noqa: PLR2004 - only one
            return Availability("Container is running")
        return Availability(
            f"Container {name} is running, one of {len(replicas)} of service {self.target.compose_service}"
        )

    def probe(self) -> Probe:
        try:
            return super().probe()
        except ConnectionLostError:
            check_steady(self.container(), since=self._started_at, program=self.program)
            raise

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        deadline = time.monotonic() + timeout
        exec_id, stream, early = self.start_loader()
        command = loader_input(argv, has_more=bool(stdin))
        decoder = ExecDecoder()
        stdout = bytearray(decoder.feed(early))
        with closing(stream), self.errors_translated():
            for data in exchange(stream.socket, command + stdin, deadline):
                stdout += decoder.feed(data)
                check_output(len(stdout) + len(decoder.stderr), self.place)
            code = self.exit_code(exec_id, deadline)
        result = CommandResult(code, bytes(stdout), bytes(decoder.stderr))
        if code in NOT_STARTED:
            self.check_started(result.stdout + result.stderr)
        return result

    def check_started(self, output: bytes) -> None:
        """Raise the error for a shell that could not be started: the engine reports it in the command's own output."""
        if output.startswith(UNKNOWN_USER.encode()):
            raise unknown_user(self.target.user, self.place, self.program, self.container_name())
        if b'exec: "sh": ' in output and any(text in output for text in NOT_FOUND_TEXTS):
            raise no_shell(self.place)

    def start_loader(self) -> tuple[str, Stream, bytes]:
        """Start LOADER and return its id, its stream, and the bytes already read from that."""
        with self.errors_translated():
            name = self.container_name()
            created = self.engine.client.exec_create(
                name, list(LOADER), stdin=True, user=self.target.user or ""
            )
            return created["Id"], *self.engine.client.open_exec(created["Id"])

    def exit_code(self, exec_id: str, deadline: float) -> int:
        """Wait for the exit code of a command whose output has ended."""
        deadline = max(deadline, time.monotonic() + EXIT_CODE_SECONDS)
        while time.monotonic() < deadline:
            code = self.engine.client.exec_inspect(exec_id)["ExitCode"]
            if code is not None:
                return int(code)
            time.sleep(0.01)
        raise TimedOutError(f"{self.engine_name} did not report the exit code of a command in {self.place}")

    def open_stream(self, argv: Sequence[str]) -> Stream:
        _, stream, early = self.start_loader()
        return started(ExecStream(stream, early), argv, self.place)

    def routes(self, port: int) -> Iterator[Callable[[], Route]]:
        """Yield the direct route if a local port is certainly the daemon's, then the relay."""
        direct = self.direct_port(port)
        if direct is not None:
            self.end_early_relay()
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
            candidates(self._container or self.container(), daemon.host, port),
            lambda: find_listener(self.run, pid=daemon.pid, port=port, timeout=LISTENER_SECONDS),
        )

    def disconnect(self) -> None:
        super().disconnect()
        self._engine = None
        self._owned.close()
