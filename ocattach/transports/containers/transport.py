"""Containers of any engine that speaks Docker's API: one is looked at, and commands run in it by `exec`."""

import os
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import ContainerTarget
from ocattach.daemon import DaemonStatus, Probe
from ocattach.daemon.listener import find_listener
from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    OcattachError,
    ShellNotFoundError,
    TimedOutError,
)
from ocattach.execution import CommandResult, Stream, check_output
from ocattach.transports.base import Ask, Availability, Plan, Question
from ocattach.transports.command import CommandTransport
from ocattach.transports.containers.compose import PROJECT_LABEL, SERVICE_LABEL, Replica, in_order
from ocattach.transports.containers.direct import DirectPort, candidates, find_direct
from ocattach.transports.containers.engine import Engine, EngineAddress, EngineClient
from ocattach.transports.containers.exec_stream import ExecDecoder, ExecStream, exchange
from ocattach.transports.containers.state import check_running, check_steady

if TYPE_CHECKING:
    from ocattach.daemon.probe import FoundDaemon
    from ocattach.tunnel.route import Route

NOT_STARTED = (126, 127)
COMMAND_NOT_FOUND = 127
NOT_FOUND_TEXTS = (b"executable file not found", b"no such file or directory")
"""How runc and crun word it; Docker gives exit code 126 or 127 and this text on stdout, Podman 127 on stderr."""

UNKNOWN_USER = "unable to find user"
"""The same words in Docker's output, with exit code 126, and in Podman's refusal."""

EXIT_CODE_SECONDS = 5
"""How long the engine may take to know the exit code of a command whose output has ended."""

NOT_FOUND = 404
REFUSED = (NOT_FOUND, 409, 500)
"""Conflict is Docker's word for a container that does not run; Podman has an error of its own inside, too."""

LISTENER_SECONDS = 5


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
        self._is_guest = False
        """Whether the engine is another handler's."""

        self._container: Mapping[str, Any] | None = None
        self._daemon: FoundDaemon | None = None
        self._replica: Replica | None = None
        self._started_at: str | None = None

    @abstractmethod
    def engine_address(self) -> EngineAddress:
        """Where the engine is; asked once, when it is first needed, and again after `disconnect`."""

    @abstractmethod
    def engine_place(self) -> tuple[str, tuple[str, ...]]:
        """Where the engine is, without asking it: in words, and as options of its command line."""

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
                "direct, where the kernel shows that a port of this machine ends at the daemon's own socket",
                "relay: one exec that carries all connections",
            ),
        )

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
                remembers=self.remembers,
            )
        return self._engine

    def connection_key(self) -> str:
        target = self.target.pinned(os.environ)
        return repr((self.scheme, target.host, target.context, target.cert_path))

    def open_connection(self) -> None:
        _ = self.client

    def share(self, other: Self) -> None:
        self._engine, self._is_guest = other.engine, True

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
        if UNKNOWN_USER in explanation:
            return self.unknown_user()
        if status in REFUSED:
            check_steady(self.container(), since=self._started_at, program=self.program)
            return EnvironmentNotRunningError(
                f"{self.engine_name} cannot run commands in {self.place}: {explanation}",
                hint=f"Try: {self.program} exec {self.container_name()} true",
            )
        return None

    def absent(self, status: int, explanation: str) -> OcattachError | None:
        """What it means that the engine does not show the container."""
        return self.not_found(explanation) if status == NOT_FOUND else None

    def not_found(self, explanation: str) -> OcattachError:
        """There is no such container; say which there are that look like it."""
        from difflib import get_close_matches  # noqa: PLC0415 - only for this error

        with self.engine.translated():
            entries = self.client.containers(all=True)
        names = [name.lstrip("/") for entry in entries for name in entry["Names"]]
        near = get_close_matches(self.target.container or "", names, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"See what there is: {self.program} ps --all"
        return EnvironmentNotFoundError(f"{self.engine_name} has no {self.place}: {explanation}", hint=hint)

    def unknown_user(self) -> OcattachError:
        """The connection names an account that the container does not have."""
        return AuthenticationError(
            f"There is no user {self.target.user} in {self.place}",
            hint=f"See who there is: {self.program} exec {self.container_name()} cat /etc/passwd",
        )

    def no_shell(self) -> OcattachError:
        """Everything in a container is done by its shell, and it has none."""
        return ShellNotFoundError(
            f"There is no shell (sh) in {self.place}",
            hint="ocattach needs one there, as OpenCode's tools do: base the image on one that has it, or add busybox",
        )

    def container(self) -> Mapping[str, Any]:
        """What the engine knows of the container."""
        name = self.container_name()
        with self.engine.translated(self.absent):
            found: Mapping[str, Any] = self.client.inspect_container(name)
            self._container = found
            return found

    def container_name(self) -> str:
        """Name or id of the container; of several for one compose service always the same."""
        if self.target.container:
            return self.target.container
        if self._replica is None:
            self._replica = self.replicas()[0]
        return self._replica.identifier

    def replicas(self) -> list[Replica]:
        """The containers of the compose service, the one to use first."""
        project, service = self.target.compose_project, self.target.compose_service
        with self.engine.translated():
            labels = [f"{PROJECT_LABEL}={project}", f"{SERVICE_LABEL}={service}"]
            found = self.client.containers(all=True, filters={"label": labels})
        if not found:
            raise EnvironmentNotFoundError(
                f"{self.engine_name} has no container for service {service} of compose project {project}",
                hint=f"{self.program} compose --project-name {project} up --detach {service}",
            )
        return in_order(found)

    def check_available(self) -> Availability:
        replicas = [] if self.target.container else self.replicas()
        self._replica = replicas[0] if replicas else None
        container = self.container()
        check_running(container, program=self.program)
        self._started_at = container["State"].get("StartedAt")
        if len(replicas) < 2:  # noqa: PLR2004 - it is the one
            return Availability("Container is running")
        name = container["Name"].lstrip("/")
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
        exec_id, stream, early = self.start_exec(argv)
        decoder = ExecDecoder()
        stdout = bytearray(decoder.feed(early))
        with closing(stream), self.translated():
            for data in exchange(stream.socket, stdin, deadline):
                stdout += decoder.feed(data)
                check_output(len(stdout) + decoder.kept, self.place)
            code = self.exit_code(exec_id, deadline)
        result = CommandResult(code, bytes(stdout), decoder.stderr)
        return self.not_started(argv[0], result) if code in NOT_STARTED else result

    def not_started(self, program: str, result: CommandResult) -> CommandResult:
        """What it means that a command may not have been started: the engine tells so in the command's own output."""
        said = result.stdout + result.stderr
        if said.startswith(UNKNOWN_USER.encode()):
            raise self.unknown_user()
        if f'exec: "{program}": '.encode() not in said or not any(text in said for text in NOT_FOUND_TEXTS):
            return result
        if program == "sh":
            raise self.no_shell()
        return CommandResult(COMMAND_NOT_FOUND, b"", said)

    def start_exec(self, argv: Sequence[str]) -> tuple[str, Stream, bytes]:
        """Start a command: its id, the stream to it, and what was already read from that."""
        with self.translated():
            name = self.container_name()
            created = self.client.exec_create(name, list(argv), stdin=True, user=self.target.user or "")
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

    def remembered(self, status: DaemonStatus) -> DaemonStatus:
        self._daemon = status.daemon  # the way to its port depends on it
        return super().remembered(status)

    def routes(self, port: int) -> Iterator[Callable[[], "Route"]]:
        """Straight to the port where that is certain to be the daemon's, else through a relay."""
        direct = self.direct_port(port)
        if direct is not None:
            from ocattach.tunnel.route import DialRoute  # noqa: PLC0415 - see `import_tunnel`

            self.end_early_relay()
            yield lambda: DialRoute("direct", direct.dial)
        yield from self.relay_routes()

    def direct_port(self, port: int) -> DirectPort | None:
        """The port of this machine that is the daemon's; only an engine on this machine can have one.

        Another machine's port would carry the password over the network as it is.
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
        engine, self._engine = self._engine, None
        if engine is not None and not self._is_guest:
            engine.close()
        self._is_guest = False
