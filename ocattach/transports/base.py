"""The contract that every way into an environment keeps.

The docstrings here are the promises; tests/contract is their proof, on real engines.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon import DAEMON, DaemonStatus, Logs
from ocattach.errors import OcattachError

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel


@dataclass(frozen=True, slots=True)
class Question:
    """Something only a person can answer, such as a passphrase."""

    text: str
    secret: bool = False
    """Whether the answer must not be shown while it is typed."""

    confirm: bool = False
    """Whether the answer is "yes" or "no"."""


Ask = Callable[[Question], str]
"""Puts a question to the user; raises an OcattachError where nobody can be asked."""


@dataclass(frozen=True, slots=True)
class Availability:
    """An environment that can be used."""

    summary: str
    """What was seen, as a progress line: "Container is running"."""


@dataclass(frozen=True, slots=True)
class DirectDaemon:
    """A daemon that answers for the connection's directory, and that this machine reaches by a URL as it is."""

    url: str
    username: str
    password: str = field(repr=False)
    version: str
    port: int
    workdir: str | None
    ca_file: str | None
    """Certificates that its clients need besides the system's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How an environment would be reached, as far as that is known without touching anything."""

    way: str
    """What would be spoken to: "Docker engine at unix:///var/run/docker.sock"."""

    command: tuple[str, ...] = ()
    """What a person would put before a command to have it run there; ours need not be that program."""

    routes: tuple[str, ...] = ()
    """The ways to the daemon's port in the order in which they are tried, each in words."""

    runs_commands: bool = True
    """Whether a daemon can be started there; False where one has to run already."""

    url: str | None = None
    """The daemon's own URL, where clients would use that."""


class TransportHandler(ABC):
    """A way into one environment. Not thread-safe; `disconnect` alone may come from another thread.

    Every method raises an OcattachError and nothing else, within the timeout in seconds that the handler was made with.
    """

    scheme: ClassVar[str]
    """The URI scheme, such as "docker"."""

    shares_files: ClassVar[bool] = False
    """Whether paths mean the same in the environment as on this machine."""

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        self.spec = spec
        self.ask = ask
        self.timeout = timeout
        self.remembers = True
        """Whether what is learned on the way is kept, such as the key of a new host; False to only look."""

    @property
    def workdir(self) -> str | None:
        """The connection's working directory as an absolute path there; known once the daemon was looked for."""
        return self.spec.workdir

    def plan(self) -> Plan:
        """How the environment would be reached: no engine, network or program is touched to say so."""
        return Plan(way=f"the transport {self.scheme}", runs_commands=False)

    def connection_key(self) -> str | None:
        """What leads there and may lead to other environments too (an engine, a host, a cluster); None: nothing does.

        Two handlers with the same key can share one connection, and no one else may. Files may be read and programs
        of this machine run to find out; nothing is dialled.
        """
        return None

    def open_connection(self) -> None:  # noqa: B027 - most have none
        """Reach what `connection_key` names and be let in, without a word about the environment behind it.

        Raises what `check_available` raises where it is the engine, host or cluster that cannot be used.
        """

    def share(self, other: Self) -> None:
        """Use the way that `other`, of the same key, has opened; it stays the other's, and is not closed here.

        Several threads may then use the way at once, each by a handler of its own.
        """
        raise TypeError(f"{self.scheme} shares its way with nobody: {other.scheme}")

    @abstractmethod
    def check_available(self) -> Availability:
        """See that the environment is there and can be used: container running, host reachable and authenticated.

        Raises EnvironmentNotFoundError, EnvironmentNotRunningError, UnreachableError or AuthenticationError,
        each with what to do about it.
        """

    @abstractmethod
    def check_daemon_running(self) -> DaemonStatus:
        """Find the daemon that is to be used, in one round trip; starts nothing.

        Raises WorkdirNotFoundError when the connection's working directory does not exist.
        """

    @abstractmethod
    def start_daemon(self) -> DaemonStatus:
        """Start the daemon, or find the one another client has just started; returns when it answers.

        Raises OpencodeNotFoundError with the places that were looked at, DaemonStartError with the daemon's log.
        """

    @abstractmethod
    def connect(self, remote_port: int, *, tunnel: "Tunnel | None" = None) -> "Tunnel":
        """Open a local port that leads to `remote_port` in the environment.

        The caller closes the tunnel; it is gone in any case after `disconnect`. A `tunnel` that is given is led
        there instead, and keeps its local port; it stays its owner's to close, and only loses its way at `disconnect`.
        """

    def direct(self) -> DirectDaemon:
        """The daemon by its own URL, without a tunnel: for targets that need no link.

        Raises what `check_available` and `check_daemon_running` raise, DaemonNotRunningError where none answers.
        """
        raise TypeError(f"{self.scheme} has no way without a link")

    @abstractmethod
    def stop_daemon(self, *, force: bool = False) -> int | None:
        """End the daemon, one we did not start only with `force`; the pid that ended, None when none ran."""

    def read_logs(self, last: int, *, after: Logs | None = None) -> Logs:  # noqa: ARG002
        """The last lines of the daemon's logs there, or those that came `after` what was read before.

        Raises an OcattachError where no log can be read, which is the case where no commands can be run.
        """
        raise OcattachError(
            f"The daemon's log cannot be read by way of {self.spec.display()}",
            hint="Look where the daemon runs: ~/.local/share/opencode/log",
        )

    def daemon_log(self, lines: int = 20) -> str:
        """The last lines that the daemon has printed; empty where it was not started by us, or cannot be read."""
        try:
            return "\n".join(self.read_logs(lines).lines.get(DAEMON, ()))
        except OcattachError:
            return ""

    def daemon_proxies(self) -> Mapping[str, str]:
        """The proxy variables that the daemon was started with; none where it is not known, as without commands."""
        return {}

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of everything here: no thread, socket or process is left. Calling it twice is harmless.

        The daemon goes on.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
