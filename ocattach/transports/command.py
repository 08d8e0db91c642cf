"""What every transport that can run a command has in common: the daemon, and the relay.

A scheme supplies `run` and `open_stream`; all else follows from these two.
"""

import secrets
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon import (
    DaemonStatus,
    Logs,
    Probe,
    ProbeRequest,
    StartRequest,
    probe,
    read_logs,
    read_proxies,
    start_daemon,
    stop_daemon,
)
from ocattach.daemon.lifecycle import home_error
from ocattach.daemon.places import not_found
from ocattach.errors import (
    ConnectionLostError,
    OcattachError,
    OpencodeNotFoundError,
    TimedOutError,
    UnreachableError,
    WorkdirNotFoundError,
)
from ocattach.execution import CommandResult, Stream
from ocattach.sessions.environment import ORIGIN_VARIABLE, origin_name
from ocattach.transports.base import Ask, Plan, TransportHandler
from ocattach.tunnel.sources import relay_source

if TYPE_CHECKING:
    from ocattach.tunnel.route import Route
    from ocattach.tunnel.tunnel import Tunnel

PROBE_SECONDS = 20
RELAY_SECONDS = 10
AS_BUN = 'export BUN_BE_BUN=1; exec "$0" "$@"'


def import_tunnel() -> threading.Thread:
    """Begin to import the event loop and what rests on it, while the environment is still being looked at."""
    thread = threading.Thread(
        target=import_module, args=("ocattach.tunnel.tunnel",), name="ocattach-import", daemon=True
    )
    thread.start()
    return thread


class CommandTransport(TransportHandler):
    """An environment in which commands can be run."""

    reaches_ports: ClassVar[bool] = False
    """Whether the scheme has a way of its own to ports, so that a relay is the exception."""

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        self._probe: Probe | None = None
        self._early_relay: Stream | None = None
        self._daemon_password = ""
        self._tunnels: list[Tunnel] = []

    def plan(self) -> Plan:
        return Plan(f"the transport {self.scheme}", routes=("relay",))

    @abstractmethod
    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run a command to its end, at most `timeout` seconds; every argument arrives as it is.

        A program that does not exist gives exit code 127. Raises TimedOutError, TooMuchOutputError above
        `execution.MAX_OUTPUT` bytes while they come in, or what `check_available` raises.
        """

    @abstractmethod
    def open_stream(self, argv: Sequence[str]) -> Stream:
        """Start a command whose stdin and stdout are the stream; closing the stream ends its input."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The environment as it stands in a sentence: "container frontend-app"."""

    @property
    def workdir(self) -> str | None:
        return self._probe.workdir if self._probe else self.spec.workdir

    def probe(self) -> Probe:
        """Look at the environment again."""
        request = ProbeRequest(
            workdir=self.spec.workdir,
            opencode=self.spec.opencode,
            port=self.spec.daemon_port,
            env=self.spec.env,
            unset_env=self.spec.unset_env,
        )
        self._probe = probe(self.run, request, timeout=min(PROBE_SECONDS, self.timeout))
        return self._probe

    def check_daemon_running(self) -> DaemonStatus:
        found = self.probe()
        self.check_workdir(found)
        daemon = found.daemon(self.spec.daemon_port)
        return self.remembered(DaemonStatus(running=daemon is not None, daemon=daemon))

    def check_workdir(self, found: Probe) -> None:
        """Raise WorkdirNotFoundError when the connection's working directory does not exist."""
        if self.spec.workdir and not found.workdir:
            raise WorkdirNotFoundError(
                f"There is no directory {self.spec.workdir} in {self.place}",
                hint="Create it there, or name another with --workdir",
            )

    def check_opencode(self, found: Probe) -> str:
        """Path of the program there. Raises why there is none, or why it could not keep its data."""
        if found.unwritable:
            raise home_error(found.unwritable, place=self.place, home=found.home)
        if not found.opencode:
            raise self.opencode_not_found(found)
        return found.opencode

    def remembered(self, status: DaemonStatus) -> DaemonStatus:
        """Keep the daemon's password, for where it cannot be read again."""
        if status.daemon is not None:
            self._daemon_password = status.daemon.password or self._daemon_password
        return status

    def start_daemon(self) -> DaemonStatus:
        found = self._probe or self.probe()
        request = StartRequest(
            opencode=self.check_opencode(found),
            password=secrets.token_urlsafe(32),
            workdir=self.spec.workdir,
            port=self.spec.daemon_port,
            env=(*found.login_environment, *self.spec.env, *self.spec.forwarded_env(), self.origin),
            unset_env=self.spec.unset_env,
        )
        if not self.reaches_ports and self._early_relay is None:
            # It comes up while the daemon does, and asks for the port only when it is used.
            self._early_relay = self.open_stream(self.relay_commands(found)[0])
        return self.remembered(start_daemon(self.run, request, timeout=self.timeout))

    @property
    def origin(self) -> tuple[str, str]:
        """The variable by which a daemon, and so its agents' shells, know under which name it was started."""
        return ORIGIN_VARIABLE, origin_name(self.spec)

    def stop_daemon(self, *, force: bool = False) -> int | None:
        daemon = self.probe().daemon(self.spec.daemon_port)
        foreign = daemon if daemon and not daemon.recorded else None
        if foreign and not force:
            raise OcattachError(
                f"The daemon in {self.place} (pid {foreign.pid}) was not started by ocattach",
                hint="End it all the same with --stop --force",
            )
        return stop_daemon(
            self.run,
            foreign_pid=foreign.pid if foreign else None,
            env=self.spec.env,
            unset_env=self.spec.unset_env,
        )

    def read_logs(self, last: int, *, after: Logs | None = None) -> Logs:
        return read_logs(
            self.run,
            last=last,
            after=after,
            env=self.spec.env,
            unset_env=self.spec.unset_env,
            timeout=min(PROBE_SECONDS, self.timeout),
        )

    def daemon_proxies(self) -> Mapping[str, str]:
        daemon = (self._probe or self.probe()).daemon(self.spec.daemon_port)
        if daemon is None:
            return {}
        return read_proxies(self.run, pid=daemon.pid, timeout=min(PROBE_SECONDS, self.timeout))

    def opencode_not_found(self, found: Probe) -> OpencodeNotFoundError:
        """The error that says where was looked, and why that will not do."""
        return not_found(found.tried, system=found.system, environment=self.place)

    def connect(self, remote_port: int, *, tunnel: "Tunnel | None" = None) -> "Tunnel":
        return self.lead(tunnel, remote_port, self.routes(remote_port))

    def routes(self, port: int) -> Iterator[Callable[[], "Route"]]:  # noqa: ARG002 - schemes have ways of their own
        """Ways to a port of the environment, the best first."""
        return self.relay_routes()

    def lead(
        self, tunnel: "Tunnel | None", remote_port: int, routes: Iterator[Callable[[], "Route"]]
    ) -> "Tunnel":
        """A tunnel, or the one that is given, over the first of several routes that comes up."""
        from ocattach.tunnel.tunnel import Tunnel  # noqa: PLC0415 - see `import_tunnel`

        host = self.daemon_host(remote_port)
        failures: list[str] = []
        for open_route in routes:
            try:
                if tunnel is not None:
                    tunnel.switch_route(open_route(), remote_port, remote_host=host, timeout=RELAY_SECONDS)
                    return tunnel
                opened = Tunnel(open_route(), remote_port, remote_host=host, timeout=RELAY_SECONDS)
            except (ConnectionLostError, TimedOutError) as error:
                failures.append(error.message)
                continue
            self._tunnels.append(opened)
            return opened
        tried = "; ".join(failures) or "it has none of opencode, node and python3"
        raise UnreachableError(f"No relay could be started in {self.place}: {tried}")

    def daemon_host(self, port: int) -> str:
        """The address inside the environment at which the daemon on a port listens."""
        daemons = self._probe.daemons if self._probe else ()
        return next((daemon.host for daemon in daemons if daemon.port == port), "127.0.0.1")

    def relay_routes(self) -> Iterator[Callable[[], "Route"]]:
        """Ways to open a relay, the best first."""
        from ocattach.tunnel.route import RelayRoute  # noqa: PLC0415 - see `import_tunnel`

        if self._early_relay is not None:
            stream, self._early_relay = self._early_relay, None
            yield lambda: RelayRoute(stream)
        for argv in self.relay_commands(self._probe or self.probe()):
            yield lambda argv=argv: RelayRoute(self.open_stream(argv))  # type: ignore[misc]

    def relay_commands(self, found: Probe) -> list[list[str]]:
        """The relay under each runtime that the environment has, the best first.

        OpenCode's own is Bun, which BUN_BE_BUN=1 turns it into; the two flags keep it from reading .env and
        bunfig.toml of the working directory.
        """
        commands = []
        if found.opencode:
            bun = ["--config=/dev/null", "--no-env-file", "-e", relay_source("relay.js")]
            commands.append(["sh", "-c", AS_BUN, found.opencode, *bun])
        if found.node:
            commands.append([found.node, "-e", relay_source("relay.js")])
        if found.python3:
            commands.append([found.python3, "-c", relay_source("relay.py")])
        return commands

    def end_early_relay(self) -> None:
        """Let go of the relay that came up with the daemon, where nobody needs it."""
        if self._early_relay is not None:
            self._early_relay.close()
            self._early_relay = None

    def disconnect(self) -> None:
        self.end_early_relay()
        while self._tunnels:
            self._tunnels.pop().close()
