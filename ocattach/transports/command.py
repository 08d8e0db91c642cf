"""The base class of transports that can run commands: it manages the daemon and opens tunnels.

A scheme supplies `run`, `open_stream`, `open_foreground` and `place`.
"""

import os
import secrets
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ocattach.config.files.paths import config_directory
from ocattach.config.settings import load_settings
from ocattach.config.spec import ORIGIN_VARIABLE, ConnectionSpec, origin_name
from ocattach.daemon import (
    DaemonSettings,
    DaemonStatus,
    Logs,
    Probe,
    check_opencode,
    probe,
    read_logs,
    read_proxies,
    start_daemon,
    stop_daemon,
)
from ocattach.errors import (
    ConnectionLostError,
    OcattachError,
    TimedOutError,
    UnreachableError,
    WorkdirNotFoundError,
)
from ocattach.execution import CommandResult, Stream
from ocattach.opencode.runtime import javascript_argv
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Plan, Question, TransportHandler
from ocattach.transports.early_relay import EarlyRelay
from ocattach.transports.foreground import ForegroundCommand, enter, foreground_argv
from ocattach.tunnel.relay import relay_source

if TYPE_CHECKING:
    from ocattach.daemon.probe import FoundDaemon
    from ocattach.tunnel.route import Route
    from ocattach.tunnel.tunnel import Tunnel

SESSION_VARIABLE, SESSION_NAMES = "OCATTACH_SESSION", "OCATTACH_SESSION_NAMES"
PROBE_SECONDS = 20
RELAY_SECONDS = 10
IPV6_LOOPBACK = "::1"


class CommandTransport(TransportHandler):
    """An environment in which commands can be run."""

    reaches_ports: ClassVar[bool] = False
    """Whether the transport can forward ports itself, so that a relay is rarely needed."""

    prepares_relay: ClassVar[bool] = False
    """Whether the command that looks for the daemon becomes the relay."""

    preposition: ClassVar[str] = "in"
    """What precedes the place in a sentence."""

    logs_in: ClassVar[bool] = False
    """Whether commands run in a session of an account that logs in and out, as systemd-logind knows it.

    Then a daemon gets the PATH of the login shell, as a person does there.
    """

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        self._probe: Probe | None = None
        self.early_relay = EarlyRelay()
        self._daemon: FoundDaemon | None = None
        self._daemon_password = ""
        self._tunnels: list[Tunnel] = []

    def plan(self) -> Plan:
        return Plan(f"the {self.scheme} transport", routes=("relay",))

    @abstractmethod
    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run a command and wait at most `timeout` seconds for it; arguments are passed unchanged.

        A program that does not exist gives exit code 127. Raises TimedOutError, TooMuchOutputError as soon as there
        are more than `execution.MAX_OUTPUT` bytes of output, or what `check_available` raises.
        """

    @abstractmethod
    def open_stream(self, argv: Sequence[str]) -> Stream:
        """Start a command with the stream as its stdin and stdout; closing the stream ends its input."""

    @abstractmethod
    def open_foreground(self, argv: Sequence[str], *, size: os.terminal_size | None) -> ForegroundCommand:
        """Start a command on a new terminal of this size, or without one; arguments are passed unchanged.

        Called after a `run` that succeeded. Raises as that does.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """The environment as error messages name it: "container frontend-app"."""

    @property
    def where(self) -> str:
        """The same with its preposition: "in container frontend-app", "on host main"."""
        return f"{self.preposition} {self.place}"

    @property
    def workdir(self) -> str | None:
        return self._probe.workdir if self._probe else self.spec.workdir

    @property
    def settings(self) -> DaemonSettings:
        """What the connection says about its daemon."""
        spec = self.spec
        return DaemonSettings(
            spec.workdir, spec.opencode, spec.daemon_port, spec.env, spec.unset_env, login_path=self.logs_in
        )

    def default_workdir(self) -> str | None:
        """Return the directory of a daemon for which no other is named; None for that in which commands start."""
        return None

    def probe(self) -> Probe:
        """Query the environment again: its daemons, `opencode` and the working directory."""
        settings, timeout = self.settings, min(PROBE_SECONDS, self.timeout)
        found = self.early_relay.find(self.open_stream, settings, place=self.place, timeout=timeout)
        self._probe = found or probe(self.run, settings, timeout=timeout)
        return self._probe

    def prepare_tunnel(self) -> None:
        if self.prepares_relay:
            self.early_relay.prepare()

    def check_daemon_running(self) -> DaemonStatus:
        found = self.probe()
        self.check_workdir(found)
        daemon = found.daemon(self.spec.daemon_port)
        return self.keep_daemon(DaemonStatus(daemon))

    def check_workdir(self, found: Probe) -> None:
        """Raise WorkdirNotFoundError when the connection's working directory does not exist."""
        if self.spec.workdir and not found.workdir:
            raise WorkdirNotFoundError(
                f"Directory {self.spec.workdir} does not exist {self.where}",
                hint="Create it, or name another with --workdir",
            )

    def keep_daemon(self, status: DaemonStatus) -> DaemonStatus:
        """Remember the daemon that was found, and its password, which may not be readable later."""
        self._daemon = status.daemon
        if status.daemon is not None:
            self._daemon_password = status.daemon.password or self._daemon_password
        return status

    def start_daemon(self) -> DaemonStatus:
        found = self._probe or self.probe()
        path = [("PATH", found.path)] if found.path else []
        # The variable of the origin tells a daemon and its agents' shells which connection started it.
        origin = ORIGIN_VARIABLE, origin_name(self.spec)
        given = self.settings
        settings = replace(
            given,
            workdir=given.workdir or self.default_workdir(),
            opencode=check_opencode(found, self.place, self.where),
            env=(*path, *given.env, *self.spec.forwarded_env(), origin, *session_variables()),
        )
        if found.private:
            text = f"This account has no home to write to {self.where}: OpenCode uses {found.private}"
            self.ask(Question(text, notice=True))
        self.early_relay.end()
        if not self.reaches_ports:
            # It starts while the daemon does, and needs the port only when it is used.
            self.early_relay.keep(self.open_stream(self.relay_commands()[0]))
        password = secrets.token_urlsafe(32)
        return self.keep_daemon(start_daemon(self.run, settings, password=password, timeout=self.timeout))

    def start_command(
        self, command: Sequence[str] | None, *, size: os.terminal_size | None
    ) -> ForegroundCommand:
        self.check_available()
        settings = self.settings
        entered = enter(self.run, settings, self.default_workdir(), where=self.where, timeout=self.timeout)
        # A shell of an account that logs in reads its start-up files for that.
        shell = [entered.shell, *(["-l"] if self.logs_in else [])]
        argv = foreground_argv(
            shell if command is None else command,
            entered,
            set_variables={ORIGIN_VARIABLE: origin_name(self.spec)},
            unset=settings.unset_env,
            size=size,
        )
        return self.open_foreground(argv, size=size)

    def stop_daemon(self, *, force: bool = False) -> int | None:
        daemon = self.probe().daemon(self.spec.daemon_port)
        if daemon is None:
            return None
        if not daemon.recorded and not force:
            raise OcattachError(
                f"The daemon {self.where} (pid {daemon.pid}) was not started by ocattach",
                hint="Stop it anyway with --stop --force",
            )
        return stop_daemon(self.run, self.settings, pid=daemon.pid)

    def read_logs(self, last: int, *, after: Logs | None = None) -> Logs:
        timeout = min(PROBE_SECONDS, self.timeout)
        return read_logs(self.run, self.settings, last=last, after=after, timeout=timeout)

    def daemon_proxies(self) -> Mapping[str, str]:
        daemon = (self._probe or self.probe()).daemon(self.spec.daemon_port)
        if daemon is None:
            return {}
        return read_proxies(self.run, pid=daemon.pid, timeout=min(PROBE_SECONDS, self.timeout))

    def connect(self, remote_port: int, *, tunnel: "Tunnel | None" = None) -> "Tunnel":
        return self.open_tunnel(tunnel, remote_port, self.routes(remote_port))

    def routes(self, port: int) -> "Iterator[Callable[[], Route]]":
        """Yield constructors of the routes to a port of the environment, best first."""
        host = self.daemon_host(port)
        if ":" in host and host != IPV6_LOOPBACK:
            raise UnreachableError(
                f"The daemon {self.where} listens only on {host}, which a relay cannot reach",
                hint="Start it with --hostname 127.0.0.1 or without --hostname",
            )
        yield from self.port_routes(self.early_relay.take())

    def connect_ports(self, tunnel: "Tunnel") -> None:
        """Switch a tunnel to a route to any port of the environment's loopback, without a daemon.

        Raises UnreachableError when no route starts.
        """
        self.probe()
        self.open_tunnel(tunnel, 0, self.port_routes())

    def port_routes(self, early: Stream | None = None) -> "Iterator[Callable[[], Route]]":
        """Yield constructors of the routes to any port of the environment's loopback, best first.

        `early` is a relay that has been started already.
        """
        from ocattach.tunnel.route import RelayRoute  # noqa: PLC0415 - asyncio, loaded during an ssh login

        if early is not None:
            yield lambda: RelayRoute(early)
        for argv in self.relay_commands():
            yield lambda argv=argv: RelayRoute(self.open_stream(argv))  # type: ignore[misc]

    def open_tunnel(
        self, tunnel: "Tunnel | None", remote_port: int, routes: "Iterator[Callable[[], Route]]"
    ) -> "Tunnel":
        """Return a tunnel over the first route that starts: a new one, or `tunnel` switched to that route.

        Raises UnreachableError when no route starts.
        """
        from ocattach.tunnel.tunnel import Tunnel  # noqa: PLC0415 - asyncio, loaded during an ssh login

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
        reason = "; ".join(dict.fromkeys(failures)) or "opencode was not found there"
        raise UnreachableError(
            f"Cannot start a relay {self.where}: {reason}",
            hint=f"Check each step: {command_line('ocattach', 'doctor', self.spec.name or self.spec.display())}",
        )

    def daemon_host(self, port: int) -> str:
        """Return the address inside the environment on which the daemon of a port listens."""
        daemons = self._probe.daemons if self._probe else ()
        return next((daemon.host for daemon in daemons if daemon.port == port), "127.0.0.1")

    def relay_commands(self) -> list[list[str]]:
        """Return the commands that start a relay, best first.

        The daemon's own executable serves where `opencode` is a script that adds arguments, or was removed or
        replaced while the daemon ran.
        """
        found = self._probe or self.probe()
        programs = [found.opencode, f"/proc/{self._daemon.pid}/exe" if self._daemon else None]
        return [javascript_argv(program, relay_source()) for program in programs if program]

    def disconnect(self) -> None:
        self.early_relay.end()
        while self._tunnels:
            self._tunnels.pop().close()


def session_variables() -> tuple[tuple[str, str], ...]:
    """Return what start.sh needs to give the shells of agents the id of their session, if the settings want it."""
    names = load_settings(config_directory(os.environ)).session_variables
    return () if names is None else ((SESSION_NAMES, " ".join((SESSION_VARIABLE, *names))),)
