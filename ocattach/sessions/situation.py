"""What a session is doing: it is idle, works, retries a request, or waits for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ocattach.opencode.activity import Activity
from ocattach.opencode.pending import PendingRequest
from ocattach.opencode.sessions import stamp
from ocattach.sessions.messages import LONGEST_REASON
from ocattach.sessions.record import whole, words
from ocattach.untrusted_json import table


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a session is doing, as reported by its daemon."""

    activity: Activity = Activity.IDLE
    waiting: tuple[PendingRequest, ...] = ()
    """What it waits for."""

    attempt: int = 0
    """How often the current request has been sent, if it failed."""

    next_try: int = 0
    """When it is sent again, in milliseconds since the epoch."""

    reason: str = ""
    """Why the request failed."""

    @classmethod
    def from_api(cls, status: Any, waiting: Sequence[PendingRequest] = ()) -> Self:
        """Read a session's status (None if it is idle) and its pending requests.

        Permission requests remain after a run was aborted (1.18.33), so they count only while the session works.
        """
        content = table(status)
        if content.get("type") == "retry":
            return cls(
                activity=Activity.RETRYING,
                attempt=whole(content.get("attempt")),
                next_try=stamp(content.get("next")),
                reason=words(content.get("message"), LONGEST_REASON).strip(),
            )
        if content.get("type") != "busy":
            return cls()
        return cls(activity=Activity.WAITING if waiting else Activity.BUSY, waiting=tuple(waiting))
