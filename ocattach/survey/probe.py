"""The query of one environment's status, for all connections that lead to it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import NotTrustedError, OcattachError
from ocattach.link.client.access import client_at, no_person
from ocattach.link.client.queries import query_link
from ocattach.link.files import link_files
from ocattach.link.server.state import LinkState
from ocattach.link.server.tunnel_endpoint import open_client
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import SessionFilter
from ocattach.opencode.snapshot import LOOK_SECONDS, SESSIONS, DaemonSnapshot, snapshot
from ocattach.sessions.origins import origin_for
from ocattach.survey.environment_status import EnvironmentState, EnvironmentStatus, state_with, status_of
from ocattach.survey.journal import Journal
from ocattach.survey.stored import stored_catalogue
from ocattach.transports import open_handler
from ocattach.transports.base import TransportHandler
from ocattach.transports.shared import SharedConnections

if TYPE_CHECKING:
    from ocattach.opencode.activity import Activity

Report = Callable[[str | None, EnvironmentStatus], None]
"""Takes the status for the connections with a working directory; the last call counts."""

NO_DAEMON = "No daemon is running"

MOST_ACTIVITIES = 200
"""Sessions of a status whose activity is kept."""


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """What two connections have in common if one probe serves both: all but the name and the directory."""

    identity: str
    env: tuple[tuple[str, str], ...]
    unset_env: tuple[str, ...]
    refusal: str
    """Why the environment must not be queried; empty if it may."""


class EnvironmentProbe:
    """The probe of an environment. One thread at a time may call `ask`."""

    def __init__(
        self,
        spec: ConnectionSpec,
        workdirs: Iterable[str | None],
        *,
        environ: Mapping[str, str],
        refusal: NotTrustedError | None,
        journal: Journal,
    ) -> None:
        """`workdirs` are those of all connections that the probe serves; sessions are stored in the journal."""
        self._spec = replace(spec, workdir=None)
        self._workdirs = tuple(dict.fromkeys(workdirs))
        self._environ = environ
        self._refusal = refusal
        self._journal = journal
        self.has_stored = False
        """Whether the last query has stored sessions."""
        self._link: Mapping[str, Any] | None = None
        self._kept: TransportHandler | None = None
        """The handler of the last query if it shares no connection; using it again saves a dial."""

    def ask(self, connections: SharedConnections, report: Report, *, timeout: float) -> None:
        """Query the environment through its link if that is connected, else with a connection of this process."""
        self.has_stored = False
        try:
            if self._ask_link(report, timeout=timeout):
                return
            self._ask_environment(connections, report, timeout=timeout)
        except OcattachError as error:
            status = status_of(error, link=self._link, through="environment")
            is_silent = status.state is EnvironmentState.UNREACHABLE
            self.report_all(report, replace(status, through=None) if is_silent else status)

    def has_link(self) -> bool:
        """Whether the environment's link has a socket; does not connect to it."""
        if not self._spec.target.needs_link:
            return False
        return link_files(self._spec.link_key(self._environ), self._environ).socket.exists()

    def close(self) -> None:
        """Close the handler that is kept between two queries."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.disconnect()

    def report_all(self, report: Report, status: EnvironmentStatus) -> None:
        """Report the same status for all connections that the probe serves."""
        for workdir in self._workdirs:
            report(workdir, status)

    def _report_daemon(self, report: Report, status: EnvironmentStatus, seen: DaemonSnapshot) -> None:
        self._store(seen)
        doing: dict[str | None, dict[str, Activity]] = {}
        for directory, sessions in seen.doing:
            if sessions is not None:
                doing.setdefault(self._workdir_of(directory), {}).update(sessions)
        for workdir in self._workdirs:
            activities = doing.get(workdir)
            status_there = replace(
                status,
                state=state_with((activities or {}).values()),
                version=seen.version,
                doing=None if activities is None else Counter(activities.values()),
                activities=dict(islice((activities or {}).items(), MOST_ACTIVITIES)),
                requests=[
                    each for each in seen.requests if self._workdir_of(each.directory or None) == workdir
                ],
            )
            report(workdir, status_there)

    def _store(self, seen: DaemonSnapshot) -> None:
        self._journal.store(self._spec, seen)
        self.has_stored = True

    def _workdir_of(self, directory: str | None) -> str | None:
        """Return the working directory that is or contains a directory."""
        if directory in self._workdirs:
            return directory
        numbered = [replace(self._spec, name=str(n), workdir=each) for n, each in enumerate(self._workdirs)]
        return self._workdirs[int(origin_for(directory or "", numbered))]

    def _ask_link(self, report: Report, *, timeout: float) -> bool:
        """Query the link; return whether its answer is sufficient."""
        self._link, seen = None, None
        if self._spec.target.needs_link:
            key, workdirs = self._spec.link_key(self._environ), None if self._refusal else self._workdirs
            since = self._since() if self.has_link() else None
            answer = query_link(key, self._environ, workdirs, timeout=timeout, since=since)
            status, seen = answer.get("status"), answer.get("snapshot")
            self._link = status if status and status["state"] else None
        if self._refusal is not None:
            self.report_all(report, status_of(self._refusal, link=self._link))
            return True
        return self._link is not None and self._report_link(report, self._link, seen)

    def _report_link(self, report: Report, link: Mapping[str, Any], seen: dict[str, Any] | None) -> bool:
        status = EnvironmentStatus(
            state=EnvironmentState.RUNNING,
            port=link["port"],
            version=link["version"],
            link=link,
            through="link",
        )
        match link["state"]:
            case LinkState.CONNECTED if seen and "error" in seen:
                reason = OcattachError.from_json(seen["error"]).message
                self.report_all(report, replace(status, state=EnvironmentState.UNREACHABLE, reason=reason))
            case LinkState.CONNECTED if seen:
                self._report_daemon(report, status, DaemonSnapshot.from_json(seen))
            case LinkState.LOCKED | LinkState.STOPPED as state:
                self.report_all(report, replace(status, state=EnvironmentState(state), reason=link["reason"]))
            case _:
                return False
        return True

    def _since(self) -> int | None:
        return None if self._refusal else self._journal.since(self._spec)

    def _ask_environment(self, connections: SharedConnections, report: Report, *, timeout: float) -> None:
        handler = self._kept or self._open(timeout)
        handler.timeout = timeout
        try:
            with connections.shared(handler, lambda: self._open(timeout)) as is_shared:
                handler.check_available()
                self._ask_daemon(handler, report)
        except BaseException:
            self._kept = None
            handler.disconnect()
            raise
        if is_shared:
            handler.disconnect()
        else:
            self._kept = handler

    def _open(self, timeout: float) -> TransportHandler:
        handler = open_handler(self._spec, ask=no_person(self._spec), timeout=timeout)
        handler.remembers = False
        return handler

    def _ask_daemon(self, handler: TransportHandler, report: Report) -> None:
        seconds = max(LOOK_SECONDS, handler.timeout / 3)  # for each of several requests
        if not self._spec.target.needs_link:
            direct = handler.direct()
            self._ask_client(client_at(direct, timeout=seconds), direct.port, report)
            return
        daemon = handler.check_daemon_running().daemon
        if daemon is None:
            self._store_saved_sessions()
            stopped = replace(self._running(None), state=EnvironmentState.STOPPED, reason=NO_DAEMON)
            self.report_all(report, stopped)
            return
        self.report_all(report, self._running(daemon.port))
        with handler.connect(daemon.port) as tunnel:
            self._ask_client(open_client(tunnel, daemon, seconds), daemon.port, report)

    def _store_saved_sessions(self) -> None:
        """Store the sessions that OpenCode's database on this machine has."""
        since = self._since()
        stored = stored_catalogue(
            self._spec, self._environ, SessionFilter(since=since), enough=lambda _: True, page=SESSIONS
        )
        if stored is not None:
            seen = DaemonSnapshot("", (), stored.sessions, stored.is_whole, stored.began, since)
            self._store(seen)

    def _running(self, port: int | None) -> EnvironmentStatus:
        return EnvironmentStatus(
            state=EnvironmentState.RUNNING, port=port, link=self._link, through="environment"
        )

    def _ask_client(self, client: DaemonClient, port: int, report: Report) -> None:
        try:
            seen = snapshot(client, self._workdirs, since=self._since())
        except OcattachError as error:
            failed = status_of(error, through="environment", link=self._link)
            self.report_all(report, replace(failed, port=port))
        else:
            self._report_daemon(report, self._running(port), seen)
