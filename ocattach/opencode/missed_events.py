"""What a daemon's sessions did while its events were not read, as the events that would have reported it."""

from collections.abc import Iterator
from typing import Any

from ocattach.errors import SessionNotFoundError
from ocattach.opencode.agent_events import ERROR, IDLE, MESSAGE, PART, AgentEvents
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import CREATED, DELETED, STATUS, UPDATED, Event
from ocattach.opencode.sessions import Content, SessionClient, SessionFilter, stamp
from ocattach.untrusted_json import objects, table

MOST_SESSIONS, MOST_MESSAGES, MOST_DIRECTORIES = 50, 100, 32
"""How much is read after a gap; what is beyond is missed."""


def missed_events(client: DaemonClient, known: AgentEvents, since: float) -> Iterator[Event]:
    """Return events for what changed since a time, in milliseconds of the daemon's clock, session by session.

    They include what was reported before, which `AgentEvents.take` leaves out. Raises OcattachError.
    """
    daemon = SessionClient(client)
    changed = changed_sessions(daemon, since)
    at_work = [name for name, each in known.sessions.items() if each.is_idle is False and name not in changed]
    for name in at_work[:MOST_SESSIONS]:
        try:
            changed[name] = daemon.get(name)
        except SessionNotFoundError:
            yield Event(DELETED, "", {"sessionID": name, "info": {"id": name}})
    directories = dict.fromkeys(str(info.get("directory") or "") for info in changed.values())
    directories |= dict.fromkeys(directory for _, _, directory in known.requests.values())
    for info in changed.values():
        yield from session_events(daemon, info, since)
    for directory in list(directories)[:MOST_DIRECTORIES]:
        yield from request_events(daemon, known, directory)


def changed_sessions(daemon: SessionClient, since: float) -> dict[str, Content]:
    """Return the sessions that were updated since a time."""
    page = daemon.page(SessionFilter(since=int(since)), limit=MOST_SESSIONS)
    return {str(each["id"]): each for each in reversed(page.sessions)}


def request_events(daemon: SessionClient, known: AgentEvents, directory: str) -> Iterator[Event]:
    """Return events for the requests that are pending in a directory, and for those that no longer are."""
    pending = daemon.pending(directory or None)
    for content in pending:
        kind = "question" if "questions" in content else "permission"
        yield Event(f"{kind}.asked", directory, content)
    ids = {each.get("id") for each in pending}
    for identifier, (kind, session, where) in list(known.requests.items()):
        if where == directory and identifier not in ids:
            yield Event(f"{kind}.replied", directory, {"sessionID": session, "requestID": identifier})


def session_events(daemon: SessionClient, info: Content, since: float) -> Iterator[Event]:
    """Return the events of one session: its messages since a time, and what it does now."""
    name, directory = str(info["id"]), str(info.get("directory") or "")
    kind = CREATED if stamp(table(info.get("time")).get("created")) >= since else UPDATED
    yield Event(kind, directory, {"sessionID": name, "info": info})
    messages = recent_messages(daemon, name, since)
    status = daemon.statuses(directory or None).get(name)
    if status is not None:
        yield Event(STATUS, directory, {"sessionID": name, "status": status})
    elif messages and not is_complete(messages[-1]["info"]):
        messages = recent_messages(daemon, name, since)  # it may have ended after they were read
    for message in messages:
        about = message["info"]
        yield Event(MESSAGE, directory, {"sessionID": name, "info": {**about, "time": {}, "error": None}})
        for part in objects(message.get("parts")):
            yield Event(PART, directory, {"sessionID": name, "part": part})
        yield Event(MESSAGE, directory, {"sessionID": name, "info": about})
    last = messages[-1]["info"] if messages else {}
    if status is not None or last.get("role") == "user":  # then its run is about to begin
        return
    if last and not is_complete(last):
        error = {"name": "UnknownError", "data": {"message": "The run ended without an answer"}}
        yield Event(ERROR, directory, {"sessionID": name, "error": error})
    yield Event(IDLE, directory, {"sessionID": name})


def recent_messages(daemon: SessionClient, session: str, since: float) -> list[dict[str, Any]]:
    """Return the messages that were changed since a time or are not complete, oldest first."""
    try:
        messages, _ = daemon.messages(session, limit=MOST_MESSAGES)
    except SessionNotFoundError:
        return []
    found = [each for each in messages if isinstance(each.get("info"), dict)]
    return [each for each in found if last_change(each["info"]) >= since or not is_complete(each["info"])]


def is_complete(info: Content) -> bool:
    """Return whether a message is not an answer in progress."""
    return info.get("role") == "user" or stamp(table(info.get("time")).get("completed")) > 0


def last_change(info: Content) -> int:
    """Return when a message was last changed."""
    times = table(info.get("time"))
    return max(stamp(times.get("created")), stamp(times.get("completed")))
