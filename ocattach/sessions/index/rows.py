"""Sessions as rows of the index, and filters for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ocattach.sessions.record import Session, Tokens

COLUMNS = (
    "id, environment, root, updated, origin, native, title, directory, project, parent, created, archived, cost, "
    "input, output, reasoning, cache_read, cache_write, model, provider, agent, seen, first_seen"
)
PLACES = ", ".join("?" * len(COLUMNS.split(",")))
CHANGES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS.split(", ")[2:-1])
PUT = (
    f"INSERT INTO sessions ({COLUMNS}) VALUES ({PLACES}) "  # noqa: S608 - nothing but names of columns
    f"ON CONFLICT DO UPDATE SET {CHANGES} WHERE excluded.seen >= seen"
)
NOT_ARCHIVED = "archived IS NULL"
JOINED = "sessions CROSS JOIN environments ON sessions.environment = environments.number"
"""Sessions first (sqlite.org/optoverview.html), so that the latest are found by their index."""
SUMMED = "origin, provider, model, root, cost, input, output, reasoning, cache_read, cache_write"
SELECT = (
    "SELECT sessions.id, environments.id, updated, origin, native, title, directory, project, parent, created, "  # noqa: S608
    f"archived, cost, model, provider, agent, seen, input, output, reasoning, cache_read, cache_write FROM {JOINED}"
)


@dataclass(frozen=True, slots=True)
class IndexedSession:
    """A session in the index."""

    session: Session
    seen: float
    """When it was last reported, in seconds since the epoch."""


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


def to_row(session: Session, number: int, seen: float) -> tuple[object, ...]:
    """Return a session as a row."""
    tokens = session.tokens
    return (
        session.id,
        number,
        int(session.is_root),
        session.updated,
        session.origin,
        int(session.is_native),
        session.title,
        session.directory,
        session.project,
        session.parent,
        session.created,
        session.archived,
        session.cost,
        tokens.input,
        tokens.output,
        tokens.reasoning,
        tokens.cache_read,
        tokens.cache_write,
        session.model,
        session.provider,
        session.agent,
        seen,
        seen,
    )


def from_row(row: tuple[Any, ...]) -> IndexedSession:
    """Read a row of `SELECT`."""
    (
        identifier,
        environment,
        updated,
        origin,
        native,
        title,
        directory,
        project,
        parent,
        created,
        archived,
        cost,
        model,
        provider,
        agent,
        seen,
        *tokens,
    ) = row
    session = Session(
        id=identifier,
        environment=environment,
        origin=origin,
        is_native=bool(native),
        title=title,
        directory=directory,
        project=project,
        parent=parent,
        created=created,
        updated=updated,
        archived=archived,
        cost=cost,
        tokens=to_tokens(tokens),
        model=model,
        provider=provider,
        agent=agent,
    )
    return IndexedSession(session, seen)


def to_total(row: tuple[Any, ...]) -> Total:
    """Read a row of sums."""
    origin, provider, model, sessions, roots, cost, *tokens = row
    return Total(origin, provider, model, sessions, roots, round(cost, 9), to_tokens(tokens))


def to_tokens(numbers: Sequence[int]) -> Tokens:
    """Read tokens in the order of the columns."""
    given, output, reasoning, read, written = numbers
    return Tokens(input=given, output=output, reasoning=reasoning, cache_read=read, cache_write=written)
