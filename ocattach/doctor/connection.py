"""The steps that check one connection, from its definition to requests to the daemon."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import may_be_used
from ocattach.daemon import check_opencode
from ocattach.daemon.probe import FoundDaemon, Probe
from ocattach.daemon.unusable import ended_at_once
from ocattach.doctor import logout
from ocattach.doctor.ladder import Ladder, StepSkipped, StepWarning, skipped
from ocattach.doctor.requests import RequestChecks, count
from ocattach.errors import AuthenticationError, DaemonNotRunningError, NotTrustedError, ShellNotFoundError
from ocattach.link.client.access import client_at
from ocattach.link.client.queries import query_link
from ocattach.link.server.tunnel_endpoint import open_client
from ocattach.opencode.versions import printed_version, shortcomings, version_argv
from ocattach.printable import command_line
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, TransportHandler
from ocattach.transports.command import CommandTransport

NO_PROGRAM = 127
"""The exit code for a command that was not found."""


class ConnectionCheck(AbstractContextManager["ConnectionCheck"]):
    """The check of one connection. Each step is a method that returns what it found. Close it, or use `with`."""

    def __init__(
        self,
        ladder: Ladder,
        argument: str,
        *,
        cwd: Path,
        environ: Mapping[str, str],
        ask: Ask,
        timeout: float,
        tui: Callable[[], tuple[str, str]],
    ) -> None:
        """`tui` returns path and version of the `opencode` program on this machine; `timeout` is for each step."""
        self.ladder = ladder
        self.spec: ConnectionSpec | None = None
        self._argument = argument
        self._cwd, self._environ = cwd, environ
        self._ask, self._timeout = ask, timeout
        self._tui = tui
        self._handler: TransportHandler | None = None
        self._probe: Probe | None = None
        self._logout: Callable[[], str] | None = None
        self._port = 0
        self._daemon: FoundDaemon | None = None
        self._checks: RequestChecks | None = None

    def run(self) -> None:
        """Run all steps, except those that depend on one that failed."""
        step = self.ladder.step
        logs = f"Show the logs: {command_line('ocattach', 'logs', self._argument)}"
        step("configuration", self.configuration, hint="Fix the definition, then check it: ocattach --list")
        step("link", self.link, after=["configuration"])
        self.reach_environment()
        if self._handler is None or isinstance(self._handler, CommandTransport):
            step("shell", self.shell, after=["authentication"])
            if self._logout:
                step("logout", self._logout)
            step("opencode", self.opencode, after=["shell"], hint=logs)
            if self._probe and self._known_spec().workdir:
                step("directory", partial(self.directory, self._probe))
        step(
            "daemon",
            self.daemon,
            after=["authentication", *self._needed_for_daemon(), "directory"],
            hint=logs,
        )
        step("route", self.route, after=["daemon"], hint=logs)
        step("health", lambda: self._requests().health(), after=["route"], hint=logs)
        step("sessions", lambda: self._requests().sessions(), after=["health"], hint=logs)
        step("events", lambda: self._requests().events(), after=["health"], hint=logs)
        step("round trip", lambda: self._requests().round_trip(), after=["health"], hint=logs)
        step("tui", self.tui)

    def configuration(self) -> str:
        """Resolve the name or URI, and check that the definition is trusted."""
        spec = resolve(self._argument, cwd=self._cwd, environ=self._environ)
        if not may_be_used(spec, self._environ):
            raise NotTrustedError(
                f"{spec.name} is defined by {spec.source.path}, which you have not approved",
                hint=f"Review and approve it: {command_line('ocattach', 'trust', spec.name)}",
            )
        self.spec = spec.pinned(self._environ).with_default_workdir(self._cwd)
        place = {"typed": "as typed", "user": f"saved in {spec.source.path}"}
        return f"{self.spec.display()}, {place.get(spec.source.kind, f'defined by {spec.source.path}')}"

    def link(self) -> str:
        """Report the state of the link. The next steps do not use it, but connect on their own."""
        spec = self._known_spec()
        if not spec.target.needs_link:
            return "not needed: clients connect to the URL directly"
        status = query_link(spec.link_key(self._environ), self._environ).get("status")
        if status is None or status["state"] is None:
            return "not running"
        if status["state"] != "connected":
            end = command_line("ocattach", "--disconnect", self._argument)
            reason = f": {status['reason']}" if status["reason"] else ""
            raise StepWarning(f"{status['state']}{reason} (to end the link: {end})")
        return f"connected, {count(status['clients'], 'client')}, at {status['url']}"

    def reach_environment(self) -> None:
        """Run two steps that are one call of the transport: a host that refuses the credentials was reached."""
        refused: list[AuthenticationError] = []

        def environment() -> str:
            try:
                return self._open().check_available().summary
            except AuthenticationError as error:
                refused.append(error)
                return "reached"

        def authentication() -> str:
            if refused:
                raise refused[0]
            return "accepted"

        self.ladder.step("environment", environment, after=["configuration"])
        self.ladder.step("authentication", authentication, after=["environment"])

    def shell(self) -> str:
        """Run a command in the environment."""
        handler = self._commands()
        script = f"uname -sm; id -un 2>/dev/null || id -u{logout.SCRIPT}"
        ran = handler.run(["sh", "-c", script], timeout=self._timeout)
        if ran.exit_code == NO_PROGRAM:
            raise ShellNotFoundError(
                f"{handler.place} has no shell (sh)",
                hint="Install one there: ocattach and OpenCode's tools need it",
            )
        system, user, report, *_ = [*ran.stdout.decode(errors="replace").strip().split("\n"), "", ""]
        if handler.logs_in and report.startswith(logout.MARK):
            self._logout = partial(logout.check_logout, report, user)
        return f"{system}, as {user}" if user else system or f"sh exited with code {ran.exit_code}"

    def opencode(self) -> str:
        """Run the `opencode` program in the environment to get its version."""
        handler = self._commands()
        self._probe = found = handler.probe()
        program = check_opencode(found, handler.place, handler.where)
        ran = handler.run(version_argv(program), timeout=self._timeout)
        output = (ran.stdout + ran.stderr).decode(errors="replace").strip()
        version = printed_version(ran.stdout)
        if ran.exit_code != 0 or version is None:
            raise ended_at_once(program, exit_code=str(ran.exit_code), log=output)
        lacks = shortcomings(version)
        if lacks:
            raise StepWarning(f"{version} at {program}: {'; '.join(lacks)}")
        return f"{version} at {program}"

    def directory(self, found: Probe) -> str:
        """Check the working directory."""
        self._commands().check_workdir(found)
        return str(found.workdir)

    def daemon(self) -> str:
        """Find the daemon that `ocattach NAME` would use."""
        handler = self._open()
        spec = self._known_spec()
        status = handler.check_daemon_running()
        daemon = status.daemon
        if daemon is None:
            if any(rung.name == "opencode" and rung.error for rung in self.ladder.rungs):
                raise StepSkipped(skipped("opencode"))  # no daemon runs, and none can be started
            raise DaemonNotRunningError(
                f"No daemon runs in {spec.display()}",
                hint=f"Start one: {command_line('ocattach', self._argument)}",
            )
        self._port = daemon.port
        self._daemon = daemon
        starter = "started by ocattach" if daemon.recorded else "not started by ocattach"
        return f"port {daemon.port}, pid {daemon.pid}, {starter}" if daemon.pid else f"port {daemon.port}"

    def route(self) -> str:
        """Connect to the daemon's port, and check that the connection would notice another account on it."""
        handler, spec = self._open(), self._known_spec()
        if not spec.target.needs_link:
            direct = handler.direct()
            client = client_at(direct, timeout=self._timeout)
            self._checks = RequestChecks(client, workdir=handler.workdir, username=direct.username)
            return f"direct: {direct.url}"
        if self._daemon is None:
            raise DaemonNotRunningError(f"No daemon runs in {spec.display()}")
        tunnel = handler.connect(self._port)
        client = open_client(tunnel, self._daemon, self._timeout)
        self._checks = RequestChecks(client, workdir=handler.workdir, username=self._daemon.username)
        unseen = self._why_owner_is_unseen()
        if unseen:
            raise StepWarning(
                f"{tunnel.route_name}: if the daemon ends, another account there could take port {self._port} and "
                f"receive the next request with the daemon's password ({unseen})"
            )
        return tunnel.route_name

    def _why_owner_is_unseen(self) -> str:
        """Return why the owner of the daemon's port cannot be checked; empty where it is."""
        try:
            tables = self._commands().run(["sh", "-c", "[ -r /proc/self/net/tcp ]"], timeout=self._timeout)
        except AuthenticationError:
            return "no command may be run there to check its owner"
        return "the system does not show who owns a port" if tables.exit_code else ""

    def tui(self) -> str:
        """Check the `opencode` program on this machine, and whether its version works with the daemon's."""
        program, version = self._tui()
        if self._checks is not None:
            self._checks.tui(version)
        return f"{version} at {program}"

    def _needed_for_daemon(self) -> list[str]:
        """Return the shell step, unless running commands is forbidden: a known port may still be reachable."""
        shell = next((rung for rung in self.ladder.rungs if rung.name == "shell"), None)
        return [] if shell is not None and isinstance(shell.error, AuthenticationError) else ["shell"]

    def _known_spec(self) -> ConnectionSpec:
        if self.spec is None:
            raise AssertionError("configuration")
        return self.spec

    def _open(self) -> TransportHandler:
        if self._handler is None:
            self._handler = open_handler(self._known_spec(), ask=self._ask, timeout=self._timeout)
            self._handler.remembers = False
        return self._handler

    def _commands(self) -> CommandTransport:
        handler = self._open()
        if not isinstance(handler, CommandTransport):
            raise TypeError(handler)
        return handler

    def _requests(self) -> RequestChecks:
        if self._checks is None:
            raise AssertionError("route")
        return self._checks

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            self._handler.disconnect()
