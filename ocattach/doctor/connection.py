"""The ladder of one connection: from its definition to an answer of the daemon."""

import shlex
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ocattach.config.files.paths import state_directory
from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import TrustLedger, may_be_used
from ocattach.daemon.failures import ended_at_once
from ocattach.doctor.ladder import Ladder, Remark
from ocattach.errors import (
    AuthenticationError,
    DaemonNotRunningError,
    NotTrustedError,
    ShellNotFoundError,
)
from ocattach.link.client.access import client_at
from ocattach.link.client.queries import link_status
from ocattach.link.server.port import open_client
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.versions import Tui, answered_version, check_tui, is_second, shortcomings
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, TransportHandler
from ocattach.transports.command import CommandTransport

if TYPE_CHECKING:
    from ocattach.daemon.probe import FoundDaemon, Probe

ROUND_TRIPS = 5
SESSIONS = 100
CONNECTED = "server.connected"
"""The first event of every stream (1.18.33)."""


class Examination:
    """What is known of a connection so far; each method is a rung, and says what it found."""

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
        """`tui` tells path and version of the program here that shows the TUI; `timeout` is for each rung."""
        self.ladder = ladder
        self.spec: ConnectionSpec | None = None
        self._argument = argument
        self._cwd, self._environ = cwd, environ
        self._ask, self._timeout = ask, timeout
        self._tui = tui
        self._handler: TransportHandler | None = None
        self._probe: Probe | None = None
        self._port = 0
        self._daemon: FoundDaemon | None = None
        self._client: DaemonClient | None = None
        self._version = ""

    def climb(self) -> None:
        """Try every rung, as far as what it rests on holds."""
        step = self.ladder.step
        logs = f"See its log: ocattach logs {shlex.quote(self._argument)}"
        step("configuration", self.configuration, hint="Correct it, and look again: ocattach --list")
        step("link", self.link, after=["configuration"])
        self.reach()
        if self._runs_commands():
            step("shell", self.shell, after=["authentication"])
            step("opencode", self.opencode, after=["shell"], hint=logs)
            if self._probe and self._known_spec().workdir:
                step("directory", self.directory)
        step(
            "daemon",
            self.daemon,
            after=["authentication", *self._needed_for_daemon(), "directory"],
            hint=logs,
        )
        step("route", self.route, after=["daemon"], hint=logs)
        step("health", self.health, after=["route"], hint=logs)
        for name, look in (
            ("sessions", self.sessions),
            ("events", self.events),
            ("round trip", self.round_trip),
        ):
            step(name, look, after=["health"], hint=logs)
        step("tui", self.tui)

    def configuration(self) -> str:
        """What is meant, where that is defined, and whether it may be used."""
        spec = resolve(self._argument, cwd=self._cwd, environ=self._environ)
        if not may_be_used(spec, TrustLedger(state_directory(self._environ)), self._environ):
            raise NotTrustedError(
                f"{spec.name} is defined by {spec.source.path}, which you have not approved",
                hint=f"Look at it, and approve it: ocattach trust {spec.name}",
            )
        self.spec = spec.settled(self._environ).with_default_workdir(self._cwd)
        place = {"typed": "as typed", "user": f"saved in {spec.source.path}"}
        return f"{self.spec.display()}, {place.get(spec.source.kind, f'defined by {spec.source.path}')}"

    def link(self) -> str:
        """The link as it stands: what follows goes its own way, and disturbs nobody who uses it."""
        spec = self._known_spec()
        if not spec.target.needs_link:
            return "none is needed: clients use the URL as it is"
        status = link_status(spec.link_key(self._environ), self._environ)
        if status is None or status["state"] is None:
            return "none at present"
        if status["state"] != "connected":
            again = f"ocattach --disconnect {shlex.quote(self._argument)}"
            reason = f": {status['reason']}" if status["reason"] else ""
            raise Remark(f"{status['state']}{reason} (end it: {again})")
        return f"connected, {count(status['clients'], 'client')}, at {status['url']}"

    def reach(self) -> None:
        """Two rungs that are one step for a transport: there is no way to be let in without having been there."""
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
        """A command, there and back."""
        handler = self._commands()
        ran = handler.run(["sh", "-c", "uname -sm; id -un 2>/dev/null || id -u"], timeout=self._timeout)
        if ran.exit_code == 127:  # noqa: PLR2004 - what a shell says of a program that is not there
            raise ShellNotFoundError(
                f"There is no shell (sh) in {handler.place}",
                hint="ocattach needs one there, as OpenCode's tools do",
            )
        system, _, user = ran.stdout.decode(errors="replace").strip().partition("\n")
        return f"{system}, as {user}" if user else system or f"sh ended with exit code {ran.exit_code}"

    def opencode(self) -> str:
        """The program there, asked for its version: whether it can run shows only then."""
        handler = self._commands()
        self._probe = found = handler.probe()
        program = handler.check_opencode(found)
        ran = handler.run([program, "--version"], timeout=self._timeout)
        said = (ran.stdout + ran.stderr).decode(errors="replace").strip()
        version = answered_version({"version": ran.stdout.decode(errors="replace").strip()})
        if ran.exit_code != 0 or version is None:
            raise ended_at_once(program, exit_code=str(ran.exit_code), log=said)
        lacks = shortcomings(version)
        if lacks:
            raise Remark(f"{version} at {program}: {'; '.join(lacks)}")
        return f"{version} at {program}"

    def directory(self) -> str:
        """The working directory."""
        found = self._probe
        if found is None:
            raise AssertionError("opencode")
        self._commands().check_workdir(found)
        return str(found.workdir)

    def daemon(self) -> str:
        """The daemon that `ocattach NAME` would use."""
        handler = self._open()
        spec = self._known_spec()
        status = handler.check_daemon_running()
        daemon = status.daemon
        if daemon is None:
            unstartable = any(rung.name == "opencode" and rung.error for rung in self.ladder.rungs)
            start = f"Start one: ocattach {shlex.quote(self._argument)}"
            hint = "None can be started before there is an opencode, as above" if unstartable else start
            raise DaemonNotRunningError(f"No daemon runs in {spec.display()}", hint=hint)
        self._port = daemon.port
        self._daemon = daemon
        who = "recorded by ocattach" if daemon.recorded else "started by hand"
        return f"port {daemon.port}, pid {daemon.pid}, {who}" if daemon.pid else f"port {daemon.port}"

    def route(self) -> str:
        """The way to the daemon's port."""
        handler, spec = self._open(), self._known_spec()
        if not spec.target.needs_link:
            direct = handler.direct()
            self._client = client_at(
                direct.url, direct.username, direct.password, ca_file=direct.ca_file, timeout=self._timeout
            )
            return f"direct: {direct.url}"
        if self._daemon is None:
            raise DaemonNotRunningError(f"No daemon runs in {spec.display()}")
        tunnel = handler.connect(self._port)
        self._client = open_client(tunnel, self._daemon, self._timeout)
        return tunnel.route_name

    def health(self) -> str:
        """The daemon's word for its health, with its password."""
        self._version = self._requests().version()
        return f"OpenCode {self._version}"

    def sessions(self) -> str:
        """A request that only a daemon with a sound configuration answers: health is well without one (1.18.33)."""
        if is_second(self._version):
            raise Remark("what the requests of OpenCode 2 look like could not be tried")
        directory = self._open().workdir
        found = len(self._requests().sessions(directory, limit=SESSIONS))
        more = " or more" if found == SESSIONS else ""
        return f"{count(found, 'session')}{more} in {directory or 'its own directory'}"

    def events(self) -> str:
        """The first event of the stream that keeps the TUI up to date."""
        if is_second(self._version):
            raise Remark("what the events of OpenCode 2 look like could not be tried")
        first = self._requests().first_event(self._open().workdir)
        if first != CONNECTED:
            raise Remark(f"the first event is {first}, not {CONNECTED}")
        return first

    def round_trip(self) -> str:
        """Requests, one after the other, each on a connection of its own."""
        times = []
        for _ in range(ROUND_TRIPS):
            began = time.monotonic()
            self._requests().version()
            times.append((time.monotonic() - began) * 1000)
        return f"median {statistics.median(times):.1f} ms of {ROUND_TRIPS} (slowest {max(times):.1f} ms)"

    def tui(self) -> str:
        """The program here that shows the TUI, and whether it can show this daemon."""
        path, version = self._tui()
        client = self._client
        if client is not None and self._version:
            tui = Tui(url="")
            username = self._daemon.username if self._daemon else "opencode"

            def content_type(asked: str) -> str:
                return client.request("GET", asked).content_type

            check_tui(version, self._version, tui, username=username, content_type=content_type)
        return f"{version} at {path}"

    def _runs_commands(self) -> bool:
        """Whether there is a shell to look for, as far as is known."""
        return self._handler is None or isinstance(self._handler, CommandTransport)

    def _needed_for_daemon(self) -> list[str]:
        """The shell, unless commands are forbidden rather than impossible: a known port may be reached all the same."""
        shell = next((rung for rung in self.ladder.rungs if rung.name == "shell"), None)
        return [] if shell is not None and isinstance(shell.error, AuthenticationError) else ["shell"]

    def _known_spec(self) -> ConnectionSpec:
        if self.spec is None:
            raise AssertionError("configuration")
        return self.spec

    def _open(self) -> TransportHandler:
        """The way into the environment, opened once."""
        if self._handler is None:
            self._handler = open_handler(self._known_spec(), ask=self._ask, timeout=self._timeout)
            self._handler.remembers = False
        return self._handler

    def _commands(self) -> CommandTransport:
        handler = self._open()
        if not isinstance(handler, CommandTransport):
            raise TypeError(handler)
        return handler

    def _requests(self) -> DaemonClient:
        if self._client is None:
            raise AssertionError("route")
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handler is not None:
            self._handler.disconnect()


def count(number: int, thing: str) -> str:
    """A number of things."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
