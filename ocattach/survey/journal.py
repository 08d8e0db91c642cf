"""What status queries store in the index, and read from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock

from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.opencode.sessions import updated
from ocattach.opencode.snapshot import SESSIONS, DaemonSnapshot
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Covered, IndexedEnvironment, LastStatus, Tally, Wanted
from ocattach.sessions.index.store import Index, open_index
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import SessionCount

Wanting = tuple[str, str]
"""The environment of a connection (`environment_id`), and its name as the origin of sessions (`origin_name`)."""

TURN_SECONDS = 1.0
"""How long a thread waits for its turn to store."""

MOST_RELATED = 100
"""How many sessions and ancestors are read by their ids."""


@dataclass(frozen=True, slots=True)
class Journal:
    """Access to the index that never raises IndexUnusableError: without an index, nothing is known. Thread-safe."""

    names: Names
    environ: Mapping[str, str]
    notices: list[str] = field(default_factory=list)
    """What to report about the index."""

    storing: Lock = field(default_factory=Lock, repr=False)
    """Held while sessions are stored: SQLite's own wait for a lock polls, and is not fair."""

    def since(self, spec: ConnectionSpec) -> int | None:
        """Return the time from which an environment's sessions are requested, in milliseconds since the epoch.

        None requests all. That is done while they are few, since it also shows which have been deleted.
        """
        environment = environment_id(spec, self.environ)
        with suppress(IndexUnusableError), self._open() as index:
            asked = index.environments(environment).get(environment)
            if asked is None or asked.walked is None:
                return None
            count = sum(tally.sessions for tally in index.tallies(environment).values())
            return index.newest(environment) if count > SESSIONS else None
        return None

    def store(self, spec: ConnectionSpec, snapshot: DaemonSnapshot) -> None:
        """Store the sessions of an environment."""
        environment = environment_id(spec, self.environ)
        sessions = self.names.read(snapshot.sessions, environment)
        edge = min(map(updated, snapshot.sessions), default=snapshot.began * 1000)
        if snapshot.is_whole:
            edge = 0 if snapshot.since is None else snapshot.since - 1
        covered = Covered(above=int(edge), children=True, began=snapshot.began)
        with suppress(IndexUnusableError), self._turn(), self._open() as index:
            uri = replace(spec, workdir=None).display()
            place = spec.place_id(self.environ)
            index.put(sessions, environment, snapshot.began, uri=uri, place=place, covered=covered)

    def sessions(self, wanted: Sequence[Wanting]) -> list[SessionCount | None]:
        """Return the number of each connection's sessions; None if its environment has never answered."""
        places = {environment for environment, _ in wanted}
        only = next(iter(places)) if len(places) == 1 else None
        with suppress(IndexUnusableError), self._open() as index:
            asked = index.environments(only)
            tallies: dict[str, list[tuple[str, Tally]]] = {}
            for (environment, origin), tally in index.tallies(only).items():
                tallies.setdefault(environment, []).append((origin, tally))
            return [self._count(asked.get(each[0]), tallies.get(each[0], ()), each) for each in wanted]
        return [None] * len(wanted)

    def _count(
        self, about: IndexedEnvironment | None, tallies: Iterable[tuple[str, Tally]], wanting: Wanting
    ) -> SessionCount | None:
        if about is None:
            return None
        own = [tally for origin, tally in tallies if self.names.counts_for(origin, *wanting)]
        total = sum(own, Tally())
        return SessionCount(total.roots, total.cost, about.walked is not None, about.asked)

    def latest(self, spec: ConnectionSpec, *, limit: int, besides: Iterable[str]) -> list[Session]:
        """Return the latest sessions of a connection, without child sessions; and `besides`, ids, with ancestors."""
        environment, name = environment_id(spec, self.environ), origin_name(spec)

        def is_own(session: Session) -> bool:
            return self.names.counts_for(session.origin, environment, name)

        with suppress(IndexUnusableError), self._open() as index:
            known = index.latest(Wanted(environments=(environment,)), limit=limit, keep=is_own)
            wanted = [*besides]
            for each in wanted:
                found = [known for known in index.find(each) if known.session.environment == environment]
                known += found
                parents = (known.session.parent for known in found if len(wanted) < MOST_RELATED)
                wanted += (parent for parent in parents if parent and parent not in wanted)
            return [each.session for each in known]
        return []

    def statuses(self) -> dict[str, LastStatus]:
        """Return the last known statuses of connections, by the keys that they were stored with."""
        with suppress(IndexUnusableError), self._open() as index:
            return index.statuses()
        return {}

    def store_statuses(self, statuses: Mapping[str, LastStatus]) -> None:
        """Store statuses for later calls of `statuses`."""
        with suppress(IndexUnusableError), self._open() as index:
            index.put_statuses(statuses)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the other threads that store, but not for one that another process keeps waiting."""
        has_turn = self.storing.acquire(timeout=TURN_SECONDS)
        try:
            yield
        finally:
            if has_turn:
                self.storing.release()

    @contextmanager
    def _open(self) -> Iterator[Index]:
        with open_index(self.environ) as index:
            yield index
            if index.notice:
                self.notices.append(index.notice)
