"""What the index holds: environments, sessions as rows, and filters for them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from ocattach.sessions.record import Session, Tokens

FIELDS = (
    "id", "updated", "origin", "title", "directory", "project", "parent", "created", "archived", "cost", "model",
    "provider", "agent",
)  # fmt: skip
"""The columns that have the names of fields of a session."""

AMOUNTS = tuple(each.name for each in fields(Tokens))
"""The columns that have the names of fields of its tokens."""

COLUMNS = (*FIELDS, *AMOUNTS, "root", "native", "seen", "environment", "first_seen")
CHANGES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:-2])
PUT = (
    f"INSERT INTO sessions ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - our names
    f"ON CONFLICT DO UPDATE SET {CHANGES} WHERE excluded.seen >= seen"
)
NOT_ARCHIVED = "archived IS NULL"
JOINED = "sessions CROSS JOIN environments ON sessions.environment = environments.number"
"""Sessions first (sqlite.org/optoverview.html), so that the latest are found by their index."""
SUMMED = ", ".join(("origin", "provider", "model", "root", "cost", *AMOUNTS))
SELECT = f"SELECT environments.id, native, seen, sessions.{', '.join((*FIELDS, *AMOUNTS))} FROM {JOINED}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class IndexedSession:
    """A session in the index."""

    session: Session
    seen: float
    """When it was last reported, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class IndexedEnvironment:
    """An environment in the index."""

    id: str
    uri: str = ""
    """Its URI. Names can change."""

    asked: float = 0.0
    """When it last answered, in seconds since the epoch."""

    walked: float | None = None
    """When it last reported all its sessions; None for never."""

    place: str = ""
    """The `config.spec.place_id` of its connections; empty if an older version stored it."""


@dataclass(frozen=True, slots=True)
class LastStatus:
    """The status of a connection's environment when it last answered."""

    state: str
    """One of the states of `ocattach --status`."""

    asked: float
    """When it answered, in seconds since the epoch."""

    port: int | None
    """The daemon's port in the environment."""

    version: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The number and cost of the sessions of an origin."""

    roots: int = 0
    sessions: int = 0
    """Children included."""

    cost: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.roots + other.roots, self.sessions + other.sessions, self.cost + other.cost)


@dataclass(frozen=True, slots=True)
class Total:
    """The sums for the sessions of one origin and model."""

    origin: str
    provider: str
    model: str
    sessions: int
    """Children included."""

    roots: int
    cost: float
    tokens: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A filter for sessions."""

    environments: Sequence[str] | None = None
    """Ids; None for all."""

    origins: Sequence[str] = ()
    """Only these origins; empty for all."""

    renamed: Sequence[str] = ()
    """Environments whose sessions of removed connections also count as of these origins."""

    names: Sequence[str] = ()
    """The origins of all connections."""

    search: str = ""
    """A part of the title, in upper or lower case."""

    since: int | None = None
    """Updated at or after, in milliseconds since the epoch."""

    children: bool = False
    """Include sessions created by other sessions, and archived ones."""

    def conditions(self) -> tuple[list[str], list[object]]:
        """Return the terms in SQL, except for children, and their values."""
        terms: list[str] = []
        values: list[object] = []
        if self.environments is not None:
            terms.append(f"environments.id IN ({', '.join('?' * len(self.environments))})")
            values += self.environments
        if self.origins:
            marks, known, places = (
                ", ".join("?" * len(texts)) for texts in (self.origins, self.names, self.renamed)
            )
            terms.append(
                f"(origin IN ({marks}) OR (environments.id IN ({places}) AND origin NOT IN ({known})))"
            )
            values += [*self.origins, *self.renamed, *self.names]
        if self.search:
            terms.append("instr(lower(title), lower(?)) > 0")
            values.append(self.search)
        if self.since is not None:
            terms.append("updated >= ?")
            values.append(self.since)
        if not self.children:
            terms.append(NOT_ARCHIVED)
        return terms, values


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Which sessions of an environment were reported. Others in this range were deleted."""

    above: int = 0
    """All that were updated after this time, in milliseconds; 0 for all."""

    children: bool = False
    """Whether they include sessions created by other sessions."""

    archived: bool = False
    """Whether they include archived sessions."""

    began: float
    """When the query began. Later writes of others are kept."""


fields_of = attrgetter(*FIELDS)
amounts_of = attrgetter(*AMOUNTS)


def to_row(session: Session, number: int, seen: float) -> tuple[object, ...]:
    """Return a session as a row: the values of COLUMNS."""
    tokens = amounts_of(session.tokens)
    return *fields_of(session), *tokens, session.is_root, session.is_native, seen, number, seen


def from_row(row: tuple[Any, ...]) -> IndexedSession:
    """Read a row of `SELECT`."""
    environment, native, seen, *values = row
    known = dict(zip(FIELDS, values, strict=False))
    tokens = to_tokens(values[len(FIELDS) :])
    session = Session(**known, environment=environment, is_native=bool(native), tokens=tokens)
    return IndexedSession(session, seen)


def to_total(row: tuple[Any, ...]) -> Total:
    """Read a row of sums."""
    origin, provider, model, sessions, roots, cost, *tokens = row
    return Total(origin, provider, model, sessions, roots, round(cost, 9), to_tokens(tokens))


def to_tokens(numbers: Sequence[int]) -> Tokens:
    """Read tokens in the order of AMOUNTS."""
    return Tokens(**dict(zip(AMOUNTS, numbers, strict=True)))
