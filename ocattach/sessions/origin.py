"""Where sessions began, written into the sessions themselves: OpenCode keeps an object of anybody's, `metadata`.

It is shown by `opencode export` in the environment, copied by a fork, and not inherited by the sessions of subagents.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ocattach.errors import SessionNotFoundError
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions.record import Session, table

ORIGIN, ENVIRONMENT = "origin", "environment"
"""Our keys."""


def origin_metadata(origin: str, environment: str) -> dict[str, str]:
    """What a session carries that began there."""
    return {ORIGIN: origin, ENVIRONMENT: environment}


def has_origin(content: Mapping[str, Any]) -> bool:
    """Whether somebody has written into a session already where it began, be it another program in its own way."""
    return ORIGIN in table(content.get("metadata"))


class Marker:
    """Writes into the sessions of one environment where they began. `name` says so of a directory."""

    def __init__(self, environment: str, name: Callable[[str], str]) -> None:
        self.environment = environment
        self._name = name

    def mark(self, client: SessionClient, session: str) -> Session | None:
        """Write it into a session that says nothing of it; the session, None where there was nothing to write.

        What else its metadata has is kept, who was first is right, and sessions of other sessions are left alone.
        OpenCode takes the whole metadata or nothing (1.18.33), so that little time may pass between the two requests.
        """
        try:
            content = client.get(session)
            found = self.read(content)
            if found is None or not found.is_root or has_origin(content):
                return None
            metadata = origin_metadata(found.origin, self.environment)
            changed = client.patch_metadata(session, {**table(content.get("metadata")), **metadata})
        except SessionNotFoundError:  # deleted meanwhile
            return None
        return self.read(changed)

    def read(self, content: Any) -> Session | None:
        """A session as OpenCode tells it, with the origin that it would be given where it has none."""
        session = Session.from_api(content, environment=self.environment)
        if session is None or session.origin:
            return session
        return replace(session, origin=self._name(session.directory))
