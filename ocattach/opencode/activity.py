"""What the sessions of a daemon are doing, which it keeps by directory, and in memory alone."""

import http.client
from collections.abc import Iterable
from enum import StrEnum

from ocattach.errors import OcattachError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import Content, SessionClient, in_directory


class Activity(StrEnum):
    """What a session is doing; the words are those of tables and JSON."""

    IDLE = "idle"
    BUSY = "busy"
    RETRYING = "retrying"
    """The model could not be reached, and is to be tried again."""

    WAITING = "waiting"
    """It waits for somebody to allow something."""


def absolute(client: DaemonClient, directory: str | None) -> str | None:
    """A directory as the daemon has to be told it."""
    if directory is not None and (directory == "~" or directory.startswith("~/")):
        return client.home() + directory.removeprefix("~")
    return directory


def activities(client: DaemonClient, directory: str | None) -> dict[str, Activity] | None:
    """What the sessions of a directory do that are not idle, by their ids; None for a daemon that does not tell.

    Who is not at work waits for nothing, so an idle directory costs one request.
    """
    answer = client.request("GET", f"/session/status{in_directory(directory)}")
    content = answer.json()
    if answer.status != http.client.OK or not isinstance(content, dict):
        return None
    found = {session: activity(status) for session, status in content.items() if isinstance(status, dict)}
    found = {session: each for session, each in found.items() if each is not Activity.IDLE}
    return {**found, **waiting(SessionClient(client), directory)} if found else found


def activity(status: Content) -> Activity:
    """What a status says: {"type": "busy"}, {"type": "retry", "attempt", "message", "next"} (1.18.33)."""
    return {"retry": Activity.RETRYING, "idle": Activity.IDLE}.get(str(status.get("type")), Activity.BUSY)


def waiting(client: SessionClient, directory: str | None) -> dict[str, Activity]:
    """The sessions of a directory that wait to be allowed something, and those on whose behalf they do."""
    found: dict[str, Activity] = {}
    for permission in client.permissions(directory):
        for session in lineage(client, permission.get("sessionID")):
            found[session] = Activity.WAITING
    return found


GENERATIONS = 5
"""How far up one looks from a session to those that have made it."""


def lineage(client: SessionClient, session: object) -> Iterable[str]:
    """A session, and those that wait for it."""
    for _ in range(GENERATIONS):
        if not isinstance(session, str):
            return
        yield session
        try:
            session = client.get(session).get("parentID")
        except OcattachError:  # it is just being deleted
            return
