"""Lists the sessions of all environments: current ones of those that answer, the rest from the index."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.defects import FILE, as_error
from ocattach.errors import DaemonNotRunningError, TimedOutError
from ocattach.opencode.activity import Activity
from ocattach.opencode.catalogue import RECENT_SECONDS, Catalogue
from ocattach.sessions.index.claims import Claims
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Covered, IndexedEnvironment, Total, Wanted
from ocattach.sessions.index.store import Index, open_index
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import EnvironmentState, state_of, state_with
from ocattach.survey.everywhere import AllConnections
from ocattach.survey.fanout import QueryResult
from ocattach.survey.query import SessionQuery
from ocattach.survey.session_list import (
    ListedSession,
    Request,
    SessionList,
    SessionSource,
    conflict_notes,
    each_once,
    is_owned,
)

Results = Sequence[QueryResult[Catalogue]]
Known = Mapping[str, IndexedEnvironment]


class SessionCollector:
    """Answers one request from all environments and the index."""

    def __init__(
        self, connections: AllConnections, request: Request, *, environ: Mapping[str, str], timeout: float
    ) -> None:
        self._connections, self._request = connections, request
        self._names = Names(connections.specs, environ)
        self._environ = environ
        self._query = SessionQuery(connections, request, self._names, environ=environ, timeout=timeout)
        self._notes: list[str] = []

    def gather(self) -> SessionList:
        """Query the environments, store their answers in the index, and return the list."""
        results = [] if self._request.offline else self._ask()
        try:
            with open_index(self._environ) as index:
                gathered = self._merge(results, index)
                limit = self._request.limit
                # A narrow query may have replaced some that have been deleted since.
                if limit is not None and self._query.is_narrow and len(gathered.sessions) < limit:
                    gathered = self._merge(self._ask_for_more(results, gathered), index)
                self._notes += conflict_notes(index.claims(), gathered.sources)
                self._add_notice(index)
        except IndexUnusableError as error:
            self._notes.append(
                f"{error.message}. {error.hint}".rstrip(". ")
                + "; sessions of environments that did not answer are missing"
            )
            gathered = self._merge(results, None)
        return replace(gathered, notes=self._notes)

    def totals(self) -> list[Total]:
        """Return tokens and cost from the index, after `gather` has updated it. Raises IndexUnusableError."""
        with open_index(self._environ) as index:
            return index.totals(self._wanted(None))

    def _ask(self) -> Results:
        """Query all environments for what can be in the list: nothing older than the index has in its last place."""
        limit = self._request.limit
        if limit is not None:
            with suppress(IndexUnusableError), open_index(self._environ) as index:
                known = index.latest(self._wanted(None), limit=limit)
                if len(known) == limit:
                    self._query.since = known[-1].session.updated
                self._add_notice(index)
        return self._query.ask()

    def _add_notice(self, index: Index) -> None:
        if index.notice:
            self._notes.append(index.notice)

    def _ask_for_more(self, results: Results, gathered: SessionList) -> Results:
        self._query.since = self._request.since
        answered = {source.id for source in gathered.sources if source.has_answered and source.error is None}
        others = [each for each in results if environment_id(each.specs[0], self._environ) not in answered]
        return [*self._query.ask(answered), *others] if answered else results

    def _merge(self, results: Results, index: Index | None) -> SessionList:
        known = index.environments() if index else {}
        live: list[ListedSession] = []
        sources: list[SessionSource] = []
        for each in results:
            environment = environment_id(each.specs[0], self._environ)
            try:
                source, listed = self._take(each, environment, known, index)
            except IndexUnusableError:
                raise
            except Exception as failure:  # noqa: BLE001 - it concerns this environment only
                error = as_error(failure, state_directory(self._environ) / FILE)
                source, listed = SessionSource(environment, each.specs, state_of(error), error), []
            sources.append(source)
            live += listed
        return self._put_together(live, sources, index)

    def _take(
        self, result: QueryResult[Catalogue], environment: str, known: Known, index: Index | None
    ) -> tuple[SessionSource, list[ListedSession]]:
        """Return the outcome of an environment's query, and its sessions, which are stored in the index."""
        source, catalogue = self._source(result, environment, known)
        if catalogue is None:
            return source, []
        contents = list(catalogue.sessions)  # the thread of an overdue query may still add to it
        sessions = self._names.read(contents, environment)
        if index is not None:
            self._store(index, environment, result.specs[0], sessions, catalogue)
        return source, self._listed(sessions, catalogue)

    def _source(
        self, result: QueryResult[Catalogue], environment: str, known: Known
    ) -> tuple[SessionSource, Catalogue | None]:
        """Return the outcome of an environment's query, and its sessions; None if it listed none."""
        error, catalogue, specs = result.error, self._query.catalogues.get(environment), result.specs
        if isinstance(error, DaemonNotRunningError):
            catalogue = self._query.stored(specs[0], environment)
            state, error = EnvironmentState.STOPPED, error if catalogue is None else None
        elif error is not None and not isinstance(error, TimedOutError):
            state, catalogue = state_of(error), None
        elif catalogue is None:
            state = EnvironmentState.UNAVAILABLE if error is None else state_of(error)
        else:
            state = state_with(what for each in catalogue.doing.values() for what in (each or {}).values())
        if catalogue is None:
            return SessionSource(environment, specs, state, error, last_asked(known, environment)), None
        whole = catalogue.is_whole and error is None and not self._query.is_narrow
        source = SessionSource(
            environment, specs, state, error, catalogue.began, is_whole=whole, has_answered=True
        )
        return source, catalogue

    def _store(
        self,
        index: Index,
        environment: str,
        spec: ConnectionSpec,
        sessions: Sequence[Session],
        catalogue: Catalogue,
    ) -> None:
        request = self._request
        edge = min((session.updated for session in sessions), default=int(catalogue.began * 1000))
        covered = Covered(
            above=max(0 if catalogue.is_whole else edge, (self._query.since or 0) - 1, 0),
            children=request.children,
            archived=request.children,
            began=catalogue.began,
        )
        index.put(
            sessions,
            environment,
            catalogue.began,
            uri=replace(spec, workdir=None).display(),
            place=spec.place_id(self._environ),
            covered=None if request.search else covered,
        )

    def _listed(self, sessions: Sequence[Session], catalogue: Catalogue) -> list[ListedSession]:
        oldest = (catalogue.began - RECENT_SECONDS) * 1000
        doing = dict(catalogue.doing)
        activities = {name: what for each in doing.values() if each for name, what in each.items()}
        listed = []
        for session in filter(self._query.is_wanted, sessions):
            idle = doing.get(session.directory) is not None or session.updated < oldest
            activity = activities.get(session.id, Activity.IDLE if idle else None)
            listed.append(ListedSession(session, catalogue.began, is_live=True, activity=activity))
        return listed

    def _put_together(
        self, live: Sequence[ListedSession], sources: list[SessionSource], index: Index | None
    ) -> SessionList:
        limit = self._request.limit
        counted, others = 0, []
        claims = index.claims() if index else {}
        live = [each for each in live if is_owned(each.session, claims)]
        if index is not None:
            answered = {source.id for source in sources if source.has_answered and not source.error}
            known = index.environments()
            absent = (
                [environment for environment in known if environment not in answered] if answered else None
            )
            others = self._others(index, absent, claims) if self._request.lists else []
            counted = index.count(self._wanted(None))
            sources += self._unasked(sources, known)
        sessions = each_once([*live, *others], self._names.depth)
        if limit is None:
            return SessionList(sessions, sources)
        exact = index is not None and all(source.is_whole for source in sources if source.has_answered)
        more = max(counted, len(sessions)) - min(limit, len(sessions))
        return SessionList(sessions[:limit], sources, more, exact)

    def _others(
        self, index: Index, absent: Sequence[str] | None, claims: Mapping[str, Claims]
    ) -> list[ListedSession]:
        """Return the sessions that the index has of environments that did not answer in full; None stands for all."""
        wanted = replace(self._wanted(absent), renamed=self._names.environments_of(self._request.origins))

        def keep(session: Session) -> bool:
            return self._query.is_wanted(session) and is_owned(session, claims)

        found = index.latest(wanted, limit=self._request.limit, keep=keep)
        return [ListedSession(self._names.named(each.session), each.seen, is_live=False) for each in found]

    def _unasked(self, sources: Sequence[SessionSource], known: Known) -> list[SessionSource]:
        """Return the environments of connections that were not queried."""
        asked = {source.id for source in sources}
        found = []
        wanted = self._names.environments_of(self._request.origins)
        for environment, specs in self._names.specs.items():
            if environment in asked or (wanted and environment not in wanted):
                continue
            found.append(SessionSource(environment, tuple(specs), None, asked=last_asked(known, environment)))
        return found

    def _wanted(self, environments: Sequence[str] | None) -> Wanted:
        request, names = self._request, self._names
        everything = Wanted(
            environments=environments, search=request.search, since=request.since, children=request.children
        )
        if not request.origins:
            return everything
        if request.all_directories:
            within = names.environments_of(request.origins)
            chosen = within if environments is None else [each for each in environments if each in within]
            return replace(everything, environments=chosen)
        return replace(
            everything,
            origins=request.origins,
            renamed=names.inherited_by(request.origins),
            names=sorted(names.all),
        )


def last_asked(known: Known, environment: str) -> float | None:
    """Return when an environment last listed its sessions; None for never."""
    before = known.get(environment)
    return before.asked if before else None
