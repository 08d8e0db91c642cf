"""What was found out about an environment."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from ocattach.errors import (
    AuthenticationError,
    DaemonNotRunningError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    NotTrustedError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)

if TYPE_CHECKING:
    from ocattach.opencode.activity import Activity


class State(StrEnum):
    """How an environment stands; the words are those of `--status`."""

    RUNNING = "running"
    """Its daemon runs and answers."""

    BUSY = "busy"
    """The same, and works on a session in the connection's directory."""

    STOPPED = "stopped"
    """The environment can be used, and no daemon runs in it."""

    UNAVAILABLE = "unavailable"
    """Its engine or host answers, and it cannot be used: missing, ended, paused, without a shell."""

    UNREACHABLE = "unreachable"
    """The engine, the host or the daemon does not answer."""

    UNTRUSTED = "untrusted"
    """A project's definition that the user has not approved: nobody was asked."""

    LOCKED = "locked"
    """Credentials are needed that only a person can give, or those there are were refused."""


ALIVE = frozenset({State.RUNNING, State.BUSY})
KNOWN = ALIVE | {State.STOPPED}
"""States that are worth remembering: they say what is there, and not that nothing could be learnt."""

Source = Literal["link", "environment"]
"""Who was asked: the link that is there already, or the environment itself."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known about an environment at some time before."""

    state: State
    asked: float
    port: int | None = None
    version: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The inverse of `from_json`."""
        return {"state": self.state, "asked": self.asked, "port": self.port, "version": self.version}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Known":
        """What a file has; raises KeyError, TypeError or ValueError for anything else."""
        port, version = record["port"], record["version"]
        return cls(
            State(record["state"]),
            float(record["asked"]),
            None if port is None else int(port),
            None if version is None else str(version),
        )


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of a connection."""

    count: int
    """Children of others are not counted."""

    cost: float
    """In US dollars, children included."""

    is_whole: bool
    """Whether all have been counted: there may be more in an environment that has never told all."""

    asked: float
    """When the environment was last asked for them, in seconds since the epoch."""

    def to_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "count": self.count,
            "whole": self.is_whole,
            "cost": round(self.cost, 6),
            "asked": self.asked,
        }


Doing = Mapping["Activity", int]
"""How many sessions do what; who is idle is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """How one environment stands, and since when that is known."""

    state: State
    port: int | None = None
    """The daemon's, in its environment."""

    version: str | None = None
    reason: str = ""
    """Why it is not running, in a sentence."""

    hint: str = ""
    """What to type next."""

    through: Source | None = None
    """Who said so; None where nobody was asked, or nobody answered."""

    link: Mapping[str, Any] | None = None
    """How its link stands, in the words of `Environment.status`; None without one."""

    asked: float = field(default_factory=time.time)
    """When this was true, in seconds since the epoch."""

    doing: Doing | None = None
    """What its sessions are doing; None where the daemon was not asked, or does not tell."""

    sessions: Sessions | None = None
    """What it has, or had when it was last asked; None where that is not known."""

    last_known: Known | None = None
    """What was known before, where nothing could be learnt now."""


def state_of(error: OcattachError) -> State:
    """What an error says about the environment that was asked."""
    match error:
        case NotTrustedError():
            return State.UNTRUSTED
        case AuthenticationError():
            return State.LOCKED
        case DaemonNotRunningError():
            return State.STOPPED
        case EnvironmentNotFoundError() | EnvironmentNotRunningError():
            return State.UNAVAILABLE
        case UnreachableError() | TimedOutError():
            return State.UNREACHABLE
        case _:
            return State.UNAVAILABLE


def found_error(
    error: OcattachError, *, through: Source | None = None, link: Mapping[str, Any] | None = None
) -> EnvironmentStatus:
    """The finding that an error is."""
    return EnvironmentStatus(
        state=state_of(error), reason=error.message, hint=error.hint, through=through, link=link
    )
