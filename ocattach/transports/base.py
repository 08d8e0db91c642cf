"""The contract of all transports. tests/contract checks it on real engines."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import OcattachError, PersonNeededError, UsageError

if TYPE_CHECKING:
    from ocattach.daemon import DaemonStatus, Logs
    from ocattach.transports.foreground import ForegroundCommand
    from ocattach.tunnel.tunnel import Tunnel

ODD_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What SDKs, and readers of their results, raise for JSON of another shape than the API has."""


class Question(NamedTuple):
    """A question for the user, such as for a passphrase."""

    text: str
    secret: bool = False
    """Whether the answer is hidden while the user types."""

    confirm: bool = False
    """Whether the answer is "yes" or "no"."""

    notice: bool = False
    """Whether it is only shown, and the answer is empty at once: a banner, or that a key waits for a touch."""


Ask = Callable[[Question], str]
"""Asks the user a question. Raises an OcattachError without a terminal."""


class NoPerson:
    """An `Ask` for work without a person: raises PersonNeededError for each question."""

    def __init__(self, reason: str, hint: str = "") -> None:
        """`reason` precedes the question in the error: "Reconnecting needs an answer"."""
        self._reason, self._hint = reason, hint

    def __call__(self, question: Question) -> str:
        """Raise the error, but pass over a notice."""
        if question.notice:
            return ""
        raise self.error(next(iter(question.text.strip(" :\n").splitlines()), "a question without text"))

    def error(self, what: str) -> PersonNeededError:
        """Return the error for something that only a person can answer."""
        return PersonNeededError(f"{self._reason}: {what}", hint=self._hint)


class Availability(NamedTuple):
    """The result of `check_available` for an environment that can be used."""

    summary: str
    """A line of progress: "Container is running"."""


@dataclass(frozen=True, slots=True)
class DirectDaemon:
    """A daemon that clients on this machine reach by its own URL."""

    url: str
    username: str
    password: str = field(repr=False)
    version: str
    port: int
    workdir: str | None
    ca_file: str | None
    """A file of CA certificates that clients need besides the system's."""


class Plan(NamedTuple):
    """How an environment would be reached, from the configuration alone. Shown by `ocattach explain`."""

    connection: str
    """The engine, host or cluster: "Docker engine at unix:///var/run/docker.sock"."""

    command: tuple[str, ...] = ()
    """The command line, without the command, with which a user would run a command there."""

    routes: tuple[str, ...] = ()
    """The routes to the daemon's port in the order of attempts, each as a phrase."""

    runs_commands: bool = True
    """Whether a daemon can be started there; otherwise one has to run already."""

    url: str | None = None
    """The daemon's own URL, if clients use that."""


class TransportHandler(ABC):
    """Access to one environment. Not thread-safe; only `disconnect` may be called from another thread.

    Every method returns or raises an OcattachError within `timeout` seconds, and raises nothing else.
    """

    scheme: ClassVar[str]
    """The URI scheme, such as "docker"."""

    shares_files: ClassVar[bool] = False
    """Whether the environment has the file system of this machine."""

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        self.spec = spec
        self.ask = ask
        self.timeout = timeout
        self.remembers = True
        """Whether to save what the connection learns, such as a new host's key; False for read-only use."""
        self.login: str | None = None
        """The `shared_login` of another process, which is used instead of logging in; None logs in."""
        self.checks_host_key = True
        """Whether an ssh host needs a known key; False for podman's own virtual machine on this machine."""

    @property
    def workdir(self) -> str | None:
        """The connection's working directory in the environment; absolute after `check_daemon_running`."""
        return self.spec.workdir

    def plan(self) -> Plan:
        """Return how the environment would be reached, without contacting any engine, network or program."""
        return Plan(f"the {self.scheme} transport", runs_commands=False)

    def connection_key(self) -> str | None:
        """Return a key for the engine, host or cluster of the environment; None if there is none.

        Only handlers with the same key may share a connection. May read files and run local programs; dials nothing.
        """
        return None

    def shared_login(self) -> str | None:
        """Return what other processes of this account need to use the open connection; None if they cannot."""
        return None

    def open_connection(self) -> None:  # noqa: B027 - most have none
        """Connect to the engine, host or cluster and log in, without checking the environment itself.

        Called for handlers that share their connection. Raises as `check_available` does.
        """

    def share(self, other: Self) -> None:
        """Use the connection that `other`, with the same key, has opened. Only `other` closes it.

        Several threads may use the connection at once, each through a separate handler.
        """
        raise TypeError(f"{self.scheme} cannot share a connection: {other.scheme}")

    @abstractmethod
    def check_available(self) -> Availability:
        """Check that the environment can be used: container running, host reachable and authenticated.

        Raises EnvironmentNotFoundError, EnvironmentNotRunningError, UnreachableError or AuthenticationError, with a
        hint.
        """

    def prepare_tunnel(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Start what `connect` will need, and return at once: called before the daemon is looked for."""

    @abstractmethod
    def check_daemon_running(self) -> "DaemonStatus":
        """Find the daemon to use, in one round trip. Starts nothing.

        Raises WorkdirNotFoundError when the connection's working directory does not exist.
        """

    @abstractmethod
    def start_daemon(self) -> "DaemonStatus":
        """Start the daemon, or find one that another client has just started; return when it answers.

        Raises OpencodeNotFoundError with the places searched, DaemonStartError with the daemon's log.
        """

    @abstractmethod
    def connect(self, remote_port: int, *, tunnel: "Tunnel | None" = None) -> "Tunnel":
        """Open a tunnel from a local port to `remote_port` in the environment.

        The caller closes the tunnel; `disconnect` closes it too. A given `tunnel` is switched to a new route instead,
        and keeps its local port; `disconnect` then only ends that route.
        """

    def direct(self) -> DirectDaemon:
        """Return the daemon with its own URL, for targets that need no link.

        Raises as `check_available` and `check_daemon_running` do, and DaemonNotRunningError when none answers.
        """
        raise TypeError(f"{self.scheme} needs a link")

    def start_command(
        self,
        command: Sequence[str] | None,  # noqa: ARG002
        *,
        size: os.terminal_size | None,  # noqa: ARG002
    ) -> "ForegroundCommand":
        """Start a command, or with None the account's shell, in the connection's directory and with its variables.

        With `size` the command gets a terminal of that size, otherwise pipes. Raises as `check_available` does,
        WorkdirNotFoundError, and UsageError where no command can be run.
        """
        raise UsageError(
            f"No command can be run at {self.spec.display()}: only the API of its daemon is reachable",
            hint="Name the container or host in which it runs, such as docker://NAME",
        )

    @abstractmethod
    def stop_daemon(self, *, force: bool = False) -> int | None:
        """Stop the daemon and return its pid; None when none ran. One not started by us needs `force`."""

    def read_logs(self, last: int, *, after: "Logs | None" = None) -> "Logs":  # noqa: ARG002
        """Return the `last` lines of the daemon's logs, or the lines `after` an earlier result.

        Raises an OcattachError when the logs cannot be read, as without the ability to run commands.
        """
        raise OcattachError(
            f"Cannot read the daemon's log over {self.spec.display()}",
            hint="Read it where the daemon runs: ~/.local/share/opencode/log",
        )

    def daemon_log(self, lines: int = 20) -> str:
        """Return the daemon's last lines of output; empty if it was not started by us or cannot be read."""
        from ocattach.daemon import DAEMON  # noqa: PLC0415 - warm; a daemon at a URL has no scripts

        try:
            return "\n".join(self.read_logs(lines).lines.get(DAEMON, ()))
        except OcattachError:
            return ""

    def daemon_proxies(self) -> Mapping[str, str]:
        """Return the proxy variables of the daemon's environment; empty if unknown."""
        return {}

    @abstractmethod
    def disconnect(self) -> None:
        """Release every thread, socket and process on this machine; the daemon keeps running.

        Calling it twice is harmless.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()
