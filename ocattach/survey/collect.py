"""The sessions of all environments: of those that answer as they are now, of the others as the index has them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import DaemonNotRunningError, TimedOutError
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Covered, Known, Total, Wanted
from ocattach.sessions.index.store import Asked, Index
from ocattach.sessions.names import Names
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import State, state_of
from ocattach.survey.everywhere import Everywhere
from ocattach.survey.query import SessionQuery
from ocattach.survey.session_list import Gathered, Listed, Request, Source, each_once

if TYPE_CHECKING:
    from ocattach.opencode.catalogue import Catalogue
    from ocattach.survey.fanout import QueryResult


class SessionCollector:
    """One time of asking all environments, and the index."""

    def __init__(
        self, places: Everywhere, request: Request, *, index: Path, environ: Mapping[str, str], timeout: float
    ) -> None:
        self._places, self._request = places, request
        self._names = Names(places.specs, environ)
        self._index_file, self._environ = index, environ
        self._asking = SessionQuery(places, request, self._names, environ=environ, timeout=timeout)
        self._notes: list[str] = []

    def gather(self) -> Gathered:
        """Ask, remember what was told, and put the list together."""
        told = [] if self._request.offline else self._ask()
        try:
            with Index(self._index_file) as index:
                gathered = self._merge(told, index)
                if self._is_short(gathered):
                    gathered = self._merge(self._ask_for_more(told, gathered), index)
                self._take_notice(index)
        except IndexUnusableError as error:
            self._notes.append(
                f"{error.message}. {error.hint}".rstrip(". ") + "; stopped environments are missing"
            )
            gathered = self._merge(told, None)
        return replace(gathered, notes=self._notes)

    def totals(self) -> list[Total]:
        """What was added up of all that is known, once it was gathered. Raises IndexUnusableError."""
        with Index(self._index_file) as index:
            return index.totals(self._wanted(None))

    def _ask(self) -> "list[QueryResult[Catalogue]]":
        """Ask all, and only for what can be in the list: nothing older than what the index has in its last place.

        Whatever has come since then stands before that one.
        """
        limit = self._request.limit
        if limit is not None:
            with suppress(IndexUnusableError), Index(self._index_file) as index:
                known = index.latest(self._wanted(None), limit=limit)
                if len(known) == limit:
                    self._asking.narrow(known[-1].session.updated)
                self._take_notice(index)
        return self._asking.ask()

    def _take_notice(self, index: Index) -> None:
        if index.notice:
            self._notes.append(index.notice)

    def _is_short(self, gathered: Gathered) -> bool:
        """Whether some are missing because they were not asked for: what the index had in their places is gone."""
        limit = self._request.limit
        return limit is not None and self._asking.is_narrow and len(gathered.sessions) < limit

    def _ask_for_more(
        self, told: "Sequence[QueryResult[Catalogue]]", gathered: Gathered
    ) -> "list[QueryResult[Catalogue]]":
        self._asking.widen()
        answered = {source.id for source in gathered.sources if source.has_told and source.error is None}
        others = [each for each in told if environment_id(each.specs[0], self._environ) not in answered]
        return [*self._asking.ask(answered), *others] if answered else list(told)

    def _merge(self, told: "Sequence[QueryResult[Catalogue]]", index: Index | None) -> Gathered:
        known = index.environments() if index else {}
        live: list[Listed] = []
        sources: list[Source] = []
        for each in told:
            environment = environment_id(each.specs[0], self._environ)
            source, catalogue = self._source(each, environment, known)
            sources.append(source)
            if catalogue is None:
                continue
            contents = list(catalogue.sessions)  # the thread that asks may still be at it
            sessions = self._asking.read(environment, contents)
            if index is not None:
                self._remember(index, environment, each.specs[0], sessions, catalogue)
            live += self._listed(sessions, catalogue)
        return self._put_together(live, sources, index)

    def _source(
        self, told: "QueryResult[Catalogue]", environment: str, known: Mapping[str, Asked]
    ) -> "tuple[Source, Catalogue | None]":
        """How an environment was asked, and what it has told; None where it has told nothing."""
        error, catalogue = told.error, self._asking.told(environment)
        if isinstance(error, DaemonNotRunningError):
            catalogue = self._asking.stored(told.specs[0], environment)
            state, error = State.STOPPED, error if catalogue is None else None
        elif error is not None and not isinstance(error, TimedOutError):
            state, catalogue = state_of(error), None
        elif catalogue is None:
            state = State.UNAVAILABLE if error is None else state_of(error)
        else:
            state = State.BUSY if any(catalogue.doing.values()) else State.RUNNING
        if catalogue is None:
            return Source(environment, told.specs, state, error, last_asked(known, environment)), None
        whole = catalogue.is_whole and error is None and not self._asking.is_narrow
        source = Source(environment, told.specs, state, error, catalogue.began, is_whole=whole, has_told=True)
        return source, catalogue

    def _remember(
        self,
        index: Index,
        environment: str,
        spec: ConnectionSpec,
        sessions: Sequence[Session],
        catalogue: "Catalogue",
    ) -> None:
        request = self._request
        edge = min((session.updated for session in sessions), default=int(catalogue.began * 1000))
        covered = Covered(
            above=max(0 if catalogue.is_whole else edge, (self._asking.since or 0) - 1, 0),
            children=request.children,
            archived=request.children,
            began=catalogue.began,
        )
        index.put(
            sessions,
            environment,
            catalogue.began,
            uri=replace(spec, workdir=None).display(),
            covered=None if request.search else covered,
        )

    def _listed(self, sessions: Sequence[Session], catalogue: "Catalogue") -> list[Listed]:
        from ocattach.opencode.activity import Activity  # noqa: PLC0415 - HTTP: for who asks
        from ocattach.opencode.catalogue import RECENT_SECONDS  # noqa: PLC0415

        oldest = (catalogue.began - RECENT_SECONDS) * 1000
        doing = dict(catalogue.doing)
        told = {name: what for each in doing.values() if each for name, what in each.items()}
        listed = []
        for session in filter(self._asking.is_wanted, sessions):
            idle = doing.get(session.directory) is not None or session.updated < oldest
            activity = told.get(session.id, Activity.IDLE if idle else None)
            listed.append(Listed(session, catalogue.began, is_live=True, activity=activity))
        return listed

    def _put_together(self, live: Sequence[Listed], sources: list[Source], index: Index | None) -> Gathered:
        limit = self._request.limit
        counted, others = 0, []
        if index is not None:
            told = {source.id for source in sources if source.has_told and not source.error}
            known = index.environments()
            absent = [environment for environment in known if environment not in told] if told else None
            others = self._others(index, absent) if self._request.lists else []
            counted = index.count(self._wanted(None))
            sources += self._unasked(sources, known)
        sessions = each_once([*live, *others])
        if limit is None:
            return Gathered(sessions, sources)
        exact = index is not None and all(source.is_whole for source in sources if source.has_told)
        more = max(counted, len(sessions)) - min(limit, len(sessions))
        return Gathered(sessions[:limit], sources, more, exact)

    def _others(self, index: Index, absent: Sequence[str] | None) -> list[Listed]:
        """What those had who have not told all."""
        wanted = replace(self._wanted(absent), renamed=self._names.environments_of(self._request.origins))
        found = index.latest(wanted, limit=self._request.limit, keep=self._asking.is_wanted)
        return [self._remembered(each) for each in found]

    def _unasked(self, sources: Sequence[Source], known: Mapping[str, Asked]) -> list[Source]:
        """The environments of which nobody was asked, and that the index knows by a connection."""
        asked = {source.id for source in sources}
        found = []
        groups: dict[str, list[ConnectionSpec]] = {}
        for spec in self._places.specs:
            groups.setdefault(environment_id(spec, self._environ), []).append(spec)
        wanted = self._names.environments_of(self._request.origins)
        for environment, specs in groups.items():
            if environment in asked or (wanted and environment not in wanted):
                continue
            found.append(Source(environment, tuple(specs), None, asked=last_asked(known, environment)))
        return found

    def _remembered(self, known: Known) -> Listed:
        session = known.session
        if not session.is_native and session.origin not in self._names.all:
            session = self._names.named(session)
        return Listed(session, known.seen, is_live=False)

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


def last_asked(known: Mapping[str, Asked], environment: str) -> float | None:
    """When an environment last told its sessions; None for never."""
    before = known.get(environment)
    return before.asked if before else None
