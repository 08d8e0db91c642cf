"""What the sessions of a daemon are doing. The daemon keeps this by directory, and only in memory."""

import http.client
from collections.abc import Iterable, Sequence
from enum import StrEnum

from ocattach.errors import OcattachError
from ocattach.opencode.api import DaemonClient, query
from ocattach.opencode.sessions import Content, SessionClient, is_session_id


class Activity(StrEnum):
    """What a session is doing, in the words of tables and JSON."""

    IDLE = "idle"
    BUSY = "busy"
    RETRYING = "retrying"
    """The request to the model failed and will be repeated."""

    WAITING = "waiting"
    """The session waits for a permission or for the answer to a question."""


ACTIVITIES = {"retry": Activity.RETRYING, "idle": Activity.IDLE}
"""By the `type` of a status: {"type": "busy"}, {"type": "retry", "attempt", "message", "next"} (1.18.33)."""


def activities(
    client: DaemonClient, directory: str | None
) -> tuple[dict[str, Activity] | None, Sequence[Content]]:
    """Return the sessions of a directory that are not idle, by id, and the requests that wait for a person.

    None in place of the sessions if the daemon does not report this. Pending requests are read only if a session works:
    an idle directory takes one request.
    """
    answer = client.request("GET", f"/session/status{query(directory=directory)}")
    content = answer.json()
    if answer.status != http.client.OK or not isinstance(content, dict):
        return None, ()
    found = {
        session: ACTIVITIES.get(str(status.get("type")), Activity.BUSY)
        for session, status in content.items()
        if is_session_id(session) and isinstance(status, dict)
    }
    found = {session: each for session, each in found.items() if each is not Activity.IDLE}
    sessions = SessionClient(client)
    requests = sessions.pending(directory) if found else ()
    for request in requests:
        found |= dict.fromkeys(lineage(sessions, request.get("sessionID")), Activity.WAITING)
    return found, requests


GENERATIONS = 5
"""How many ancestors of a session are read."""


def lineage(client: SessionClient, session: object) -> Iterable[str]:
    """Return a session and its ancestors."""
    for _ in range(GENERATIONS):
        if not is_session_id(session):
            return
        yield session
        try:
            session = client.get(session).get("parentID")
        except OcattachError:  # deleted meanwhile
            return
