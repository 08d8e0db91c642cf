"""The request for a list of sessions, and the list."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ocattach.config.names import LOCAL
from ocattach.config.spec import ConnectionSpec, origin_name
from ocattach.errors import OcattachError
from ocattach.opencode.activity import Activity
from ocattach.sessions.index.claims import Claims
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import EnvironmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which sessions are requested."""

    origins: tuple[str, ...] = ()
    """Only those of these origins; empty for all."""

    all_directories: bool = False
    """All sessions of the environments that have these origins, whatever their own origin."""

    children: bool = False
    """Include child sessions and archived sessions."""

    search: str = ""
    """Part of the title."""

    since: int | None = None
    """Updated at or after this time, in milliseconds since the epoch."""

    limit: int | None = None
    """The largest number of sessions, latest first; None for all."""

    offline: bool = False
    """Use the index only."""

    activity: bool = True
    """Query what the sessions are doing."""

    lists: bool = True
    """Return a list; False only updates the index."""


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session in the list."""

    session: Session
    asked: float
    """When its environment listed it, in seconds since the epoch."""

    is_live: bool
    """Whether that was in this query; False for sessions from the index."""

    activity: Activity | None = None
    """None if it is not known."""


@dataclass(frozen=True, slots=True)
class SessionSource:
    """An environment, and the outcome of its query."""

    id: str
    specs: tuple[ConnectionSpec, ...]
    state: EnvironmentState | None
    """None if it was not queried."""

    error: OcattachError | None = None
    asked: float | None = None
    """When it last listed its sessions, in seconds since the epoch; None for never."""

    is_whole: bool = False
    """Whether it listed all requested sessions."""

    has_answered: bool = False
    """Whether it listed at least some sessions in this query."""

    @property
    def name(self) -> str:
        """The names of all connections that lead to it."""
        return ", ".join(dict.fromkeys(origin_name(spec) for spec in self.specs))


@dataclass(frozen=True, slots=True)
class SessionList:
    """The list."""

    sessions: list[ListedSession]
    sources: list[SessionSource]
    more: int = 0
    """How many sessions were left out because of the limit, at least."""

    is_exact: bool = True
    """Whether `more` is the exact number."""

    notes: list[str] = field(default_factory=list)
    """Problems with the index, to be printed."""


def is_owned(session: Session, claims: Mapping[str, Claims]) -> bool:
    """Return whether a session belongs to the environment that reported it, as far as the index knows."""
    known = claims.get(session.id)
    return known is None or all(claim.environment != session.environment for claim in known.others)


def conflict_notes(claims: Mapping[str, Claims], sources: Sequence[SessionSource]) -> Iterator[str]:
    """Yield a note for each two of these environments that report sessions with the same ids."""
    names = {source.id: source.name for source in sources}
    found: dict[tuple[str, str], list[str]] = {}
    for identifier, each in claims.items():
        for other in each.others:
            if other.environment in names:
                first = names.get(each.owner.environment, "another environment")
                found.setdefault((first, names[other.environment]), []).append(identifier)
    for (first, second), sessions in found.items():
        more = f" and {len(sessions) - 1} more" if len(sessions) > 1 else ""
        yield f"{second} reports {sessions[0]}{more} of {first} as its own; listed once, under {first}"


def each_once(listed: Sequence[ListedSession], depth: Callable[[Session], int]) -> list[ListedSession]:
    """Return the sessions, latest first, without duplicates: two ids can mean the same environment.

    A duplicate is listed under its own origin, else under the connection whose workdir is nearest to its directory:
    `depth` returns how near. Which environment answered first does not matter.
    """

    def rank(each: ListedSession) -> tuple[bool, bool, int, bool, str]:
        session = each.session
        is_other = not session.is_native
        return not each.is_live, is_other, -depth(session), session.origin == LOCAL, session.environment

    chosen: dict[str, ListedSession] = {}
    for each in sorted(listed, key=rank):
        chosen.setdefault(each.session.id, each)
    return sorted(chosen.values(), key=lambda each: each.session.updated, reverse=True)
