"""The status of an environment, as `ocattach --status` shows it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from ocattach.errors import (
    AuthenticationError,
    DaemonNotRunningError,
    DefectError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    NotTrustedError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.opencode.activity import Activity
from ocattach.opencode.pending import PendingRequest
from ocattach.sessions.index.rows import LastStatus


class EnvironmentState(StrEnum):
    """The states of `ocattach --status`."""

    WAITING = "waiting"
    """The daemon runs, and a session in the connection's directory waits for a person."""

    RUNNING = "running"
    """The daemon runs and answers."""

    BUSY = "busy"
    """The same, and it works on a session in that directory; none waits."""

    STOPPED = "stopped"
    """The environment can be used, but no daemon runs in it."""

    UNAVAILABLE = "unavailable"
    """The engine or host answers, but the environment cannot be used: missing, stopped, paused, without a shell."""

    UNREACHABLE = "unreachable"
    """The engine, the host or the daemon does not answer."""

    UNTRUSTED = "untrusted"
    """Defined by a project and not approved by the user; the environment was not queried."""

    LOCKED = "locked"
    """Credentials were refused, or have to be entered by the user."""


ANSWERED = {
    EnvironmentState.WAITING,
    EnvironmentState.RUNNING,
    EnvironmentState.BUSY,
    EnvironmentState.STOPPED,
}
"""The states that show what is in the environment, so that they are stored."""

AnsweredBy = Literal["link", "environment"]
"""Whether a status comes from the link's process or from a connection of this process."""


@dataclass(frozen=True, slots=True)
class SessionCount:
    """The number of a connection's sessions, and their cost."""

    count: int
    """Without child sessions."""

    cost: float
    """In US dollars, with child sessions."""

    is_whole: bool
    """Whether all have been counted; False if the environment has never listed all."""

    asked: float
    """When the environment last listed sessions, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """The status of one environment, for connections with one working directory."""

    state: EnvironmentState
    port: int | None = None
    """The daemon's port in the environment."""

    version: str | None = None
    reason: str = ""
    """Why the daemon does not run or cannot be used, in one sentence."""

    hint: str = ""
    """The next command."""

    through: AnsweredBy | None = None
    """None if nothing was queried, or nothing answered."""

    link: Mapping[str, Any] | None = None
    """The status of its link, as `Environment.status` returns it; None without a link."""

    asked: float = field(default_factory=time.time)
    """When the answer arrived, in seconds since the epoch."""

    doing: Mapping[Activity, int] | None = None
    """Number of sessions by activity, without idle ones; None if the daemon was not asked, or does not report it."""

    activities: Mapping[str, Activity] = field(default_factory=dict)
    """The first of these sessions, by id."""

    requests: Sequence[PendingRequest] = ()
    """What sessions wait for. The environment wrote the texts."""

    sessions: SessionCount | None = None
    """From the index; None if the environment has never listed sessions."""

    is_defect: bool = False
    """Whether a bug in ocattach is the reason."""

    last_known: LastStatus | None = None
    """The stored status, if the environment does not answer now."""


def state_with(activities: Iterable[Activity]) -> EnvironmentState:
    """Return the state of an environment whose daemon answers, and whose sessions do this."""
    known = set(activities)
    if Activity.WAITING in known:
        return EnvironmentState.WAITING
    return EnvironmentState.BUSY if known else EnvironmentState.RUNNING


def state_of(error: OcattachError) -> EnvironmentState:
    """Return the state that an error shows the environment to be in."""
    match error:
        case NotTrustedError():
            return EnvironmentState.UNTRUSTED
        case AuthenticationError():
            return EnvironmentState.LOCKED
        case DaemonNotRunningError():
            return EnvironmentState.STOPPED
        case EnvironmentNotFoundError() | EnvironmentNotRunningError():
            return EnvironmentState.UNAVAILABLE
        case UnreachableError() | TimedOutError():
            return EnvironmentState.UNREACHABLE
        case _:
            return EnvironmentState.UNAVAILABLE


def status_of(
    error: OcattachError, *, through: AnsweredBy | None = None, link: Mapping[str, Any] | None = None
) -> EnvironmentStatus:
    """Return the status of an environment whose query failed with an error."""
    return EnvironmentStatus(
        state=state_of(error),
        reason=error.message,
        hint=error.hint,
        through=through,
        link=link,
        is_defect=isinstance(error, DefectError),
    )
