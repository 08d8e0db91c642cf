"""What a session is doing at this moment: idle, at work, asking its provider again, or waiting for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from ocattach.opencode.sessions import PERMISSION_ID
from ocattach.sessions.messages import LONGEST_REASON, listed
from ocattach.sessions.record import LONGEST_ID, LONGEST_NAME, table, whole, words

LONGEST_COMMAND = 200
"""Characters that are kept of what somebody is to allow."""


class Permission(NamedTuple):
    """Something that a session wants to do, and waits to be allowed."""

    id: str
    session: str
    kind: str
    """Such as "bash", "edit", "external_directory"."""

    subject: str
    """The command or the path."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}" if self.subject else self.kind

    @classmethod
    def from_api(cls, content: Any) -> Self | None:
        """Read what `/permission` lists, or what the event of its being asked has."""
        asked = table(content)
        identifier = words(asked.get("id"), LONGEST_ID)
        patterns = [each for each in listed(asked.get("patterns")) if isinstance(each, str)]
        command = table(asked.get("metadata")).get("command")
        if not PERMISSION_ID.fullmatch(identifier):
            return None
        return cls(
            identifier,
            words(asked.get("sessionID"), LONGEST_ID),
            words(asked.get("permission"), LONGEST_NAME),
            words(command, LONGEST_COMMAND) or ", ".join(patterns)[:LONGEST_COMMAND],
        )


class State(StrEnum):
    """What a session is doing."""

    IDLE = "idle"
    BUSY = "busy"
    RETRYING = "retrying"
    WAITING = "waiting"
    """For somebody to allow something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a session is doing at this moment, by its daemon's word."""

    state: State = State.IDLE
    permissions: tuple[Permission, ...] = ()
    """What it waits for."""

    attempt: int = 0
    """Of a request that failed: how often it has been made."""

    next_try: int = 0
    """When it is made again, in milliseconds since the epoch."""

    reason: str = ""
    """Why it failed."""

    @classmethod
    def from_api(cls, session: str, status: Any, permissions: Sequence[Any] = ()) -> Self:
        """Read a session's entry in the statuses of its directory (none: it is idle), and all that waits there.

        What waits outlives a run that was broken off (1.18.33), and counts only while there is one.
        """
        told = table(status)
        kind = told.get("type")
        if kind == "retry":
            return cls(
                state=State.RETRYING,
                attempt=whole(told.get("attempt")),
                next_try=whole(told.get("next")),
                reason=words(told.get("message"), LONGEST_REASON).strip(),
            )
        if kind != "busy":
            return cls()
        asked = (Permission.from_api(each) for each in permissions)
        waiting = tuple(each for each in asked if each is not None and each.session == session)
        return cls(state=State.WAITING if waiting else State.BUSY, permissions=waiting)
