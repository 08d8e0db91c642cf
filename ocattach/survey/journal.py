"""What looks at environments learn of their sessions: it goes into the index, and comes from there for all others."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.sessions.names import Names
from ocattach.survey.environment_status import Sessions

if TYPE_CHECKING:
    from ocattach.opencode.snapshot import DaemonSnapshot
    from ocattach.sessions.index.store import Index


@dataclass(frozen=True, slots=True)
class Journal:
    """The index, as those who look around use it: nobody is kept from looking by it. For any thread."""

    index: Path
    names: Names
    environ: Mapping[str, str]
    notices: list[str] = field(default_factory=list)
    """What has to be told of the index."""

    def since(self, spec: ConnectionSpec) -> int | None:
        """From which stamp on an environment has to be asked for sessions; None where all have to be seen anew.

        That is so while they are few: then one look tells also which are gone.
        """
        from ocattach.opencode.snapshot import SESSIONS  # noqa: PLC0415 - HTTP: for who asks
        from ocattach.sessions.index.file import IndexUnusableError  # noqa: PLC0415 - SQLite: for who asks

        environment = environment_id(spec, self.environ)
        with suppress(IndexUnusableError), self._open() as index:
            asked = index.environments().get(environment)
            if asked is None or asked.walked is None:
                return None
            told = sum(
                tally.sessions for (where, _), tally in index.tallies().items() if where == environment
            )
            return index.newest(environment) if told > SESSIONS else None
        return None

    def learn(self, spec: ConnectionSpec, looked: "DaemonSnapshot") -> None:
        """Write down what was seen of an environment's sessions."""
        from ocattach.opencode.sessions import updated  # noqa: PLC0415 - HTTP: for who asks
        from ocattach.sessions.index.file import IndexUnusableError  # noqa: PLC0415 - SQLite: for who asks
        from ocattach.sessions.index.rows import Covered  # noqa: PLC0415
        from ocattach.sessions.record import Session  # noqa: PLC0415

        environment = environment_id(spec, self.environ)
        read = (Session.from_api(content, environment=environment) for content in looked.sessions)
        sessions = [self.names.named(session) for session in read if session is not None]
        edge = min(map(updated, looked.sessions), default=looked.began * 1000)
        if looked.is_whole:
            edge = 0 if looked.since is None else looked.since - 1
        covered = Covered(above=int(edge), children=True, began=looked.began)
        with suppress(IndexUnusableError), self._open() as index:
            uri = replace(spec, workdir=None).display()
            index.put(sessions, environment, looked.began, uri=uri, covered=covered)

    def sessions(self, specs: Sequence[ConnectionSpec]) -> list[Sessions | None]:
        """What is known of each connection's sessions; None of those that have never told any."""
        from ocattach.sessions.index.file import IndexUnusableError  # noqa: PLC0415 - SQLite: for who asks
        from ocattach.sessions.index.store import Tally  # noqa: PLC0415

        with suppress(IndexUnusableError), self._open() as index:
            asked, tallies = index.environments(), index.tallies()
            found: list[Sessions | None] = []
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
                found.append(Sessions(total.roots, total.cost, whole, about.asked) if about else None)
            return found
        return [None] * len(specs)

    @contextmanager
    def _open(self) -> Iterator["Index"]:
        from ocattach.sessions.index.store import Index  # noqa: PLC0415 - SQLite: for who asks

        with Index(self.index) as index:
            yield index
            if index.notice:
                self.notices.append(index.notice)
