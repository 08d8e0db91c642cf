"""The sessions of all environments: of those that answer as they are now, of the others as the index has them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DaemonNotRunningError, TimedOutError
from ocattach.sessions.environment import environment_id
from ocattach.sessions.file import IndexUnusableError
from ocattach.sessions.index import Asked, Index
from ocattach.sessions.names import Names
from ocattach.sessions.record import Session
from ocattach.sessions.rows import Covered, Known, Total, Wanted
from ocattach.survey.everywhere import Everywhere
from ocattach.survey.finding import State, state_of
from ocattach.survey.listing import Gathered, Listed, Request, Source, each_once

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient
    from ocattach.opencode.catalogue import Catalogue
    from ocattach.opencode.sessions import Choice, Content
    from ocattach.survey.find import Told

DIAL_SECONDS = 5.0
"""How long an environment may take to be reached; what it tells then may take longer."""


class Gathering:
    """One time of asking all environments, and the index."""

    def __init__(
        self, places: Everywhere, request: Request, *, index: Path, environ: Mapping[str, str], timeout: float
    ) -> None:
        self._places, self._request = places, request
        self._names = Names(places.specs, environ)
        self._index_file, self._environ, self._timeout = index, environ, timeout
        self._catalogues: dict[str, Catalogue] = {}
        """What each environment has told so far, by its id: written by the threads that ask."""
        self._notes: list[str] = []

    def gather(self) -> Gathered:
        """Ask, remember what was told, and put the list together."""
        told = [] if self._request.offline else self._ask()
        try:
            with Index(self._index_file) as index:
                gathered = self._merge(told, index)
                if index.notice:
                    self._notes.append(index.notice)
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

    def _ask(self) -> list["Told[Catalogue]"]:
        from ocattach.survey.find import ask_each  # noqa: PLC0415 - links and transports: for who asks

        wanted = self._names.environments_of(self._request.origins)
        entries = [
            entry
            for entry in self._places.entries
            if not wanted or environment_id(entry.spec, self._environ) in wanted
        ]
        return list(
            ask_each(
                entries,
                self._question,
                environ=self._environ,
                timeout=self._timeout,
                dial_timeout=min(self._timeout, DIAL_SECONDS),
            )
        )

    def _question(self, client: "DaemonClient", specs: Sequence[ConnectionSpec]) -> "Catalogue":
        from ocattach.opencode.catalogue import Catalogue, read_activities, read_catalogue  # noqa: PLC0415 - HTTP
        from ocattach.opencode.look import AGAIN_SECONDS  # noqa: PLC0415 - for who asks

        request, began = self._request, time.time()
        version = client.known_version or client.await_version(timeout=AGAIN_SECONDS)
        catalogue = Catalogue(version, began)
        environment = environment_id(specs[0], self._environ)
        self._catalogues[environment] = catalogue
        read_catalogue(client, self._choice(), catalogue, enough=self._enough(environment), page=self._page)
        if request.activity:
            read_activities(client, catalogue, ())
        return catalogue

    def _choice(self) -> "Choice":
        from ocattach.opencode.sessions import Choice  # noqa: PLC0415 - HTTP: for who asks

        request = self._request
        return Choice(
            roots=not request.children,
            archived=request.children,
            search=request.search,
            since=request.since,
        )

    @property
    def _page(self) -> int:
        """Sessions of one request."""
        from ocattach.opencode.sessions import PAGE  # noqa: PLC0415 - HTTP: for who asks

        limit = self._request.limit
        return PAGE if limit is None or self._filters else max(1, min(PAGE, limit))

    @property
    def _filters(self) -> bool:
        """Whether some of what an environment tells is left out."""
        return bool(self._request.origins) and not self._request.all_directories

    def _enough(self, environment: str) -> "Callable[[list[Content]], bool]":
        limit = self._request.limit
        if limit is None:
            return lambda _: False
        if not self._filters:
            return lambda sessions: len(sessions) >= limit
        return lambda sessions: len(self._read(environment, sessions)) >= limit

    def _read(self, environment: str, contents: "Sequence[Content]") -> list[Session]:
        """What was told and is wanted, as sessions with their origins."""
        read = (Session.from_api(content, environment=environment) for content in contents)
        named = [self._names.named(session) for session in read if session is not None]
        return [session for session in named if self._is_wanted(session)]

    def _is_wanted(self, session: Session) -> bool:
        origins = self._request.origins
        if not origins:
            return True
        if self._request.all_directories:
            return session.environment in self._names.environments_of(origins)
        return self._names.matches(session, origins)

    def _merge(self, told: "Sequence[Told[Catalogue]]", index: Index | None) -> Gathered:
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
            if index is not None:
                self._remember(index, environment, each.specs[0], contents, catalogue)
            live += self._listed(environment, contents, catalogue)
        return self._put_together(live, sources, index)

    def _source(
        self, told: "Told[Catalogue]", environment: str, known: Mapping[str, Asked]
    ) -> "tuple[Source, Catalogue | None]":
        """How an environment was asked, and what it has told; None where it has told nothing."""
        error, catalogue = told.error, self._catalogues.get(environment)
        if isinstance(error, DaemonNotRunningError):
            catalogue = self._stored(told.specs[0], environment)
            state, error = State.STOPPED, error if catalogue is None else None
        elif error is not None and not isinstance(error, TimedOutError):
            state, catalogue = state_of(error), None
        elif catalogue is None:
            state = State.UNAVAILABLE if error is None else state_of(error)
        else:
            state = State.BUSY if any(catalogue.doing.values()) else State.RUNNING
        if catalogue is None:
            return Source(environment, told.specs, state, error, last_asked(known, environment)), None
        whole = catalogue.is_whole and error is None
        source = Source(environment, told.specs, state, error, catalogue.began, is_whole=whole, has_told=True)
        return source, catalogue

    def _stored(self, spec: ConnectionSpec, environment: str) -> "Catalogue | None":
        from ocattach.survey.stored import stored_catalogue  # noqa: PLC0415 - for who asks

        enough = self._enough(environment)
        return stored_catalogue(spec, self._environ, self._choice(), enough=enough, page=self._page)

    def _remember(
        self,
        index: Index,
        environment: str,
        spec: ConnectionSpec,
        contents: "Sequence[Content]",
        catalogue: "Catalogue",
    ) -> None:
        from ocattach.opencode.sessions import updated  # noqa: PLC0415 - HTTP: for who asks

        request = self._request
        read = (Session.from_api(content, environment=environment) for content in contents)
        sessions = [self._names.named(session) for session in read if session is not None]
        edge = 0 if catalogue.is_whole else min(map(updated, contents), default=int(catalogue.began * 1000))
        covered = Covered(
            above=max(edge, (request.since or 0) - 1, 0),
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

    def _listed(
        self, environment: str, contents: "Sequence[Content]", catalogue: "Catalogue"
    ) -> list[Listed]:
        from ocattach.opencode.activity import Activity  # noqa: PLC0415 - HTTP: for who asks
        from ocattach.opencode.catalogue import RECENT_SECONDS  # noqa: PLC0415

        oldest = (catalogue.began - RECENT_SECONDS) * 1000
        doing = dict(catalogue.doing)
        told = {name: what for each in doing.values() if each for name, what in each.items()}
        listed = []
        for session in self._read(environment, contents):
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
        found = index.latest(wanted, limit=self._request.limit, keep=self._is_wanted)
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
