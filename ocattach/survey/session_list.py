"""Which sessions are wanted of all environments, and the list that comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec, origin_name
from ocattach.errors import OcattachError
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import State

if TYPE_CHECKING:
    from ocattach.opencode.activity import Activity


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which sessions are wanted."""

    origins: tuple[str, ...] = ()
    """Of these alone; all without any."""

    all_directories: bool = False
    """All of the environments in which these origins are, whatever they say of themselves."""

    children: bool = False
    """Also those that other sessions have made, and those in the archive."""

    search: str = ""
    since: int | None = None
    """Updated at or after, in milliseconds since the epoch."""

    limit: int | None = None
    """At most so many, the latest; None for all."""

    offline: bool = False
    """Nobody is asked."""

    activity: bool = True
    """Whether it is asked what they are doing."""

    lists: bool = True
    """Whether there is to be a list, rather than only an index that is up to date."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A session in the list."""

    session: Session
    asked: float
    """When it was true, in seconds since the epoch."""

    is_live: bool
    """Whether its environment has told it just now."""

    activity: "Activity | None" = None
    """What it is doing; None where nobody has said so."""


@dataclass(frozen=True, slots=True)
class Source:
    """An environment, and how it was asked."""

    id: str
    specs: tuple[ConnectionSpec, ...]
    state: State | None
    """None where nobody was asked."""

    error: OcattachError | None = None
    asked: float | None = None
    """When it last told its sessions, in seconds since the epoch; None for never."""

    is_whole: bool = False
    """Whether it has told all that were wanted of it."""

    has_told: bool = False
    """Whether sessions are known from it just now, be it not all."""

    @property
    def name(self) -> str:
        """What it is called to people: by all names that lead there."""
        return ", ".join(dict.fromkeys(origin_name(spec) for spec in self.specs))


@dataclass(frozen=True, slots=True)
class Gathered:
    """The list."""

    sessions: list[Listed]
    sources: list[Source]
    more: int = 0
    """How many others there are, at the least."""

    is_exact: bool = True
    """Whether that is their number."""

    notes: list[str] = field(default_factory=list)
    """What happened to the index; it has to be said."""


def each_once(listed: Sequence[Listed]) -> list[Listed]:
    """The sessions, the latest first, each once: two environments can turn out to be one."""
    chosen: dict[str, Listed] = {}
    for each in sorted(listed, key=lambda each: (not each.is_live, not each.session.is_native)):
        chosen.setdefault(each.session.id, each)
    return sorted(chosen.values(), key=lambda each: each.session.updated, reverse=True)
