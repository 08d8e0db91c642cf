"""One environment that a survey asks about, for all connections that lead to it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import NotTrustedError, OcattachError
from ocattach.link.client.access import NonInteractive, client_at
from ocattach.link.client.queries import query_link
from ocattach.link.files import link_files
from ocattach.link.server.state import LinkState
from ocattach.sessions.origins import origin_for
from ocattach.survey.environment_status import EnvironmentStatus, State, found_error, state_of
from ocattach.survey.stored import stored_catalogue
from ocattach.transports import open_handler
from ocattach.transports.base import TransportHandler
from ocattach.transports.shared import SharedConnections

if TYPE_CHECKING:
    from ocattach.opencode.activity import Activity
    from ocattach.opencode.api import DaemonClient
    from ocattach.opencode.snapshot import DaemonSnapshot
    from ocattach.survey.journal import Journal

Tell = Callable[[str | None, EnvironmentStatus], None]
"""Takes what was found out for the connections with a working directory; the last word counts."""

NO_DAEMON = "No daemon runs there"


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """What makes two connections one subject: they differ by name and directory alone."""

    identity: str
    env: tuple[tuple[str, str], ...]
    unset_env: tuple[str, ...]
    refusal: str
    """Why nobody may be asked about it; empty where it is trusted."""


class EnvironmentProbe:
    """An environment. `ask` is for one thread at a time."""

    def __init__(
        self,
        spec: ConnectionSpec,
        workdirs: Iterable[str | None],
        *,
        environ: Mapping[str, str],
        refusal: NotTrustedError | None,
        journal: "Journal | None" = None,
    ) -> None:
        """With a journal, what is seen of sessions is written down there."""
        self._spec = replace(spec, workdir=None)  # they differ; the daemon is the same
        self._workdirs = tuple(dict.fromkeys(workdirs))
        self._environ = environ
        self._refusal = refusal
        self._journal = journal
        self._link: Mapping[str, Any] | None = None
        self._kept: TransportHandler | None = None
        """A handler that shares its way with nobody, and knows by now what it had to find out."""

    def ask(self, ways: SharedConnections, tell: Tell, *, timeout: float) -> None:
        """Find out how the environment stands, through its link where that is up, else by asking it."""
        try:
            if self._ask_link(tell, timeout=timeout):
                return
            self._ask_environment(ways, tell, timeout=timeout)
        except OcattachError as error:
            found = found_error(error, link=self._link, through="environment")
            self._tell_all(
                tell, found if found.state is not State.UNREACHABLE else replace(found, through=None)
            )

    def has_link(self) -> bool:
        """Whether a link seems to be there; asks nobody."""
        if not self._spec.target.needs_link:
            return False
        return link_files(self._spec.link_key(self._environ), self._environ).socket.exists()

    def close(self) -> None:
        """Let go of what is kept between two questions."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.disconnect()

    def _tell_all(self, tell: Tell, finding: EnvironmentStatus) -> None:
        for workdir in self._workdirs:
            tell(workdir, finding)

    def _tell_alive(self, tell: Tell, finding: EnvironmentStatus, looked: "DaemonSnapshot") -> None:
        finding = replace(finding, version=looked.version)
        if self._journal is not None:
            self._journal.learn(self._spec, looked)
        doing: dict[str | None, Counter[Activity] | None] = {}
        for directory, sessions in looked.doing:
            workdir = directory if directory in self._workdirs else self._holder(directory)
            if sessions is not None:
                doing[workdir] = (doing.get(workdir) or Counter()) + Counter(sessions.values())
        for workdir in self._workdirs:
            state = State.BUSY if doing.get(workdir) else State.RUNNING
            tell(workdir, replace(finding, state=state, doing=doing.get(workdir)))

    def _holder(self, directory: str | None) -> str | None:
        """The working directory that another directory belongs to."""
        numbered = [replace(self._spec, name=str(n), workdir=each) for n, each in enumerate(self._workdirs)]
        return self._workdirs[int(origin_for(directory or "", numbered))]

    def _ask_link(self, tell: Tell, *, timeout: float) -> bool:
        """Whether that was enough to know."""
        self._link = None
        if self._spec.target.needs_link:
            workdirs = None if self._refusal else self._workdirs
            key = self._spec.link_key(self._environ)
            since = self._since()
            answer = query_link(key, self._environ, workdirs, timeout=timeout, since=since)
            status = answer.get("status")
            self._link = status if status and status["state"] else None
        if self._refusal is not None:
            self._tell_all(tell, found_error(self._refusal, link=self._link))
            return True
        if self._link is None:
            return False
        finding = self._linked(self._link)
        seen = answer.get("snapshot")
        match self._link["state"]:
            case LinkState.CONNECTED if seen:
                if "error" in seen:
                    error = OcattachError.from_json(seen["error"])
                    self._tell_all(tell, replace(finding, state=State.UNREACHABLE, reason=error.message))
                else:
                    self._tell_alive(tell, finding, read_look(seen))
            case LinkState.LOCKED:
                self._tell_all(tell, replace(finding, state=State.LOCKED, reason=self._link["reason"]))
            case LinkState.STOPPED:
                self._tell_all(tell, replace(finding, state=State.STOPPED, reason=self._link["reason"]))
            case _:
                return False
        return True

    def _since(self) -> int | None:
        return self._journal.since(self._spec) if self._journal is not None and not self._refusal else None

    def _linked(self, link: Mapping[str, Any]) -> EnvironmentStatus:
        return EnvironmentStatus(
            state=State.RUNNING, port=link["port"], version=link["version"], link=link, through="link"
        )

    def _ask_environment(self, ways: SharedConnections, tell: Tell, *, timeout: float) -> None:
        handler = self._kept or self._open(timeout)
        handler.timeout = timeout
        try:
            with ways.shared(handler, lambda: self._open(timeout)) as is_shared:
                handler.check_available()
                self._ask_daemon(handler, tell)
        except BaseException:
            self._kept = None
            handler.disconnect()
            raise
        if is_shared:
            handler.disconnect()
        else:
            self._kept = handler

    def _open(self, timeout: float) -> TransportHandler:
        handler = open_handler(self._spec, ask=NonInteractive(self._spec), timeout=timeout)
        handler.remembers = False
        return handler

    def _ask_daemon(self, handler: TransportHandler, tell: Tell) -> None:
        from ocattach.opencode.snapshot import LOOK_SECONDS  # noqa: PLC0415

        if not self._spec.target.needs_link:
            direct = handler.direct()
            client = client_at(
                direct.url, direct.username, direct.password, ca_file=direct.ca_file, timeout=LOOK_SECONDS
            )
            self._ask_client(client, direct.port, tell)
            return
        daemon = handler.check_daemon_running().daemon
        if daemon is None:
            self._learn_stored()
            stopped = EnvironmentStatus(
                state=State.STOPPED, reason=NO_DAEMON, link=self._link, through="environment"
            )
            self._tell_all(tell, stopped)
            return
        self._tell_all(tell, self._alive(daemon.port))
        with handler.connect(daemon.port) as tunnel:
            client = client_at(tunnel.url, daemon.username, daemon.password, timeout=LOOK_SECONDS)
            self._ask_client(client, daemon.port, tell)

    def _learn_stored(self) -> None:
        from ocattach.opencode.sessions import SessionFilter  # noqa: PLC0415
        from ocattach.opencode.snapshot import SESSIONS, DaemonSnapshot  # noqa: PLC0415 - as above

        since = self._since()
        choice = SessionFilter(since=since)
        stored = stored_catalogue(self._spec, self._environ, choice, enough=lambda _: True, page=SESSIONS)
        if self._journal is not None and stored is not None:
            looked = DaemonSnapshot("", (), stored.sessions, stored.is_whole, stored.began, since)
            self._journal.learn(self._spec, looked)

    def _alive(self, port: int) -> EnvironmentStatus:
        return EnvironmentStatus(state=State.RUNNING, port=port, link=self._link, through="environment")

    def _ask_client(self, client: "DaemonClient", port: int, tell: Tell) -> None:
        from ocattach.opencode.snapshot import snapshot  # noqa: PLC0415 - as above

        try:
            looked = snapshot(client, self._workdirs, since=self._since())
        except OcattachError as error:
            state = state_of(error)
            failed = replace(self._alive(port), state=state, reason=error.message, hint=error.hint)
            self._tell_all(tell, failed)
        else:
            self._tell_alive(tell, self._alive(port), looked)


def read_look(record: dict[str, Any]) -> "DaemonSnapshot":
    """What a link has seen."""
    from ocattach.opencode.snapshot import DaemonSnapshot  # noqa: PLC0415 - HTTP: for who asks

    return DaemonSnapshot.from_json(record)
