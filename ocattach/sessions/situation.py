"""What a session is doing at this moment: idle, at work, asking its provider again, or waiting for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ocattach.opencode.activity import Activity
from ocattach.opencode.permissions import Waiting
from ocattach.sessions.messages import LONGEST_REASON
from ocattach.sessions.record import table, whole, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a session is doing at this moment, by its daemon's word."""

    activity: Activity = Activity.IDLE
    waiting: tuple[Waiting, ...] = ()
    """What it waits for."""

    attempt: int = 0
    """Of a request that failed: how often it has been made."""

    next_try: int = 0
    """When it is made again, in milliseconds since the epoch."""

    reason: str = ""
    """Why it failed."""

    @classmethod
    def from_api(cls, status: Any, waiting: Sequence[Waiting] = ()) -> Self:
        """Read a session's entry in the statuses of its directory (none: it is idle), and what it waits for.

        The latter outlives a run that was broken off (1.18.33), and counts only while there is one.
        """
        told = table(status)
        if told.get("type") == "retry":
            return cls(
                activity=Activity.RETRYING,
                attempt=whole(told.get("attempt")),
                next_try=whole(told.get("next")),
                reason=words(told.get("message"), LONGEST_REASON).strip(),
            )
        if told.get("type") != "busy":
            return cls()
        return cls(activity=Activity.WAITING if waiting else Activity.BUSY, waiting=tuple(waiting))
