"""What status queries store in the index, and read from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.opencode.sessions import updated
from ocattach.opencode.snapshot import SESSIONS, DaemonSnapshot
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Covered, LastStatus, Tally, Wanted
from ocattach.sessions.index.store import Index
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import SessionCount

MOST_RELATED = 100
"""How many sessions and ancestors are read by their ids."""


@dataclass(frozen=True, slots=True)
class Journal:
    """Access to the index that never raises IndexUnusableError: without an index, nothing is known. Thread-safe."""

    index: Path
    names: Names
    environ: Mapping[str, str]
    notices: list[str] = field(default_factory=list)
    """What to report about the index."""

    def since(self, spec: ConnectionSpec) -> int | None:
        """Return the time from which an environment's sessions are requested, in milliseconds since the epoch.

        None requests all. That is done while they are few, since it also shows which have been deleted.
        """
        environment = environment_id(spec, self.environ)
        with suppress(IndexUnusableError), self._open() as index:
            asked = index.environments().get(environment)
            if asked is None or asked.walked is None:
                return None
            count = sum(
                tally.sessions for (where, _), tally in index.tallies().items() if where == environment
            )
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
        with suppress(IndexUnusableError), self._open() as index:
            uri = replace(spec, workdir=None).display()
            place = spec.place_id(self.environ)
            index.put(sessions, environment, snapshot.began, uri=uri, place=place, covered=covered)

    def sessions(self, specs: Sequence[ConnectionSpec]) -> list[SessionCount | None]:
        """Return the number of each connection's sessions; None if its environment has never answered."""
        with suppress(IndexUnusableError), self._open() as index:
            asked, tallies = index.environments(), index.tallies()
            found: list[SessionCount | None] = []
            for spec in specs:
                environment, name = environment_id(spec, self.environ), origin_name(spec)
                about = asked.get(environment)
                own = [
                    tally
                    for (where, origin), tally in tallies.items()
                    if where == environment and self.names.counts_for(origin, environment, name)
                ]
                total = sum(own, Tally())
                whole = about is not None and about.walked is not None
                found.append(SessionCount(total.roots, total.cost, whole, about.asked) if about else None)
            return found
        return [None] * len(specs)

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
    def _open(self) -> Iterator[Index]:
        with Index(self.index) as index:
            yield index
            if index.notice:
                self.notices.append(index.notice)
