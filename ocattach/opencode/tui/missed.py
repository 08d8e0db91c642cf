"""What TUIs have seen of a daemon's sessions, as it is now, in the form of events."""

import http.client
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ocattach.backoff import Deadline
from ocattach.errors import OcattachError, TimedOutError
from ocattach.opencode.api import DaemonClient, query
from ocattach.opencode.endpoint import Response, milliseconds
from ocattach.opencode.sessions import is_session_id
from ocattach.opencode.tui.seen import Seen, SeenRequest
from ocattach.untrusted_json import objects, table

MEND_SECONDS = 8.0
"""How long reading the state may take; what was read by then is sent."""

DIRECTORY_LIMIT = 8
MESSAGE_LIMIT = 100
"""As many as the TUI requests."""

MARGIN = 10.0
"""Seconds before the gap whose messages are sent again: clocks are compared to the second."""

Event = dict[str, Any]


class MissedState:
    """The current state of what TUIs have seen, as far as it may have changed."""

    def __init__(self, client: DaemonClient, seen: Seen, silent: float) -> None:
        self._client = client
        self._seen = seen
        self._silent = silent
        self._deadline = Deadline(MEND_SECONDS)
        self._began = 0.0
        """When the gap began, in milliseconds of the daemon's clock."""
        self._sessions: dict[str, dict[str, Any]] = {}

    def events(self) -> Iterator[Event]:
        """Return the events, the most important first."""
        yield from self._session_events()
        statuses = self._statuses()
        for session in reversed(self._seen.opened):
            info = self._sessions.get(session)
            if info is not None and (self._has_changed(info) or session in {*statuses, *self._seen.busy}):
                yield from self._content_events(info)
        yield from self._ask_events()
        for session in dict.fromkeys((*statuses, *self._seen.busy, *self._seen.opened)):
            status = statuses.get(session, {"type": "idle"})
            yield event(
                "session.status", {"sessionID": session, "status": status}, self._sessions.get(session)
            )

    def _session_events(self) -> Iterator[Event]:
        for path in reversed(self._seen.lists):
            for info in objects(self._get(path).json()):
                if is_session_id(session := info.get("id")):
                    self._sessions[session] = info
        for session in reversed(self._seen.opened):
            if session in self._sessions:
                continue
            answer = self._get(f"/session/{session}", also=http.client.NOT_FOUND)
            info = answer.json()
            if answer.status == http.client.NOT_FOUND:
                yield event("session.deleted", {"sessionID": session, "info": {"id": session}}, None)
            elif isinstance(info, dict) and info.get("id") == session:
                self._sessions[session] = info
        for session, info in self._sessions.items():
            yield event("session.updated", {"sessionID": session, "info": info}, info)

    def _statuses(self) -> dict[str, Any]:
        statuses: dict[str, Any] = {}
        for directory in self._directories():
            statuses |= table(self._get(f"/session/status{query(directory=directory)}").json())
        return statuses

    def _content_events(self, info: Mapping[str, Any]) -> Iterator[Event]:
        """Return the messages of a session that may be new, its todos and its diff."""
        session = str(info["id"])
        for message in objects(self._get(f"/session/{session}/message?limit={MESSAGE_LIMIT}").json()):
            about = message.get("info")
            if not isinstance(about, dict) or not self._has_changed(about):
                continue
            yield event("message.updated", {"sessionID": session, "info": about}, info)
            for part in objects(message.get("parts")):
                # The API has the text of a part only once it is complete: the TUI may have more of it.
                if part.get("text") != "" or part.get("id") not in self._seen.grown:
                    changed = {"sessionID": session, "part": part, "time": int(time.time() * 1000)}
                    yield event("message.part.updated", changed, info)
        todos = self._get(f"/session/{session}/todo").json()
        yield event("todo.updated", {"sessionID": session, "todos": objects(todos)}, info)
        diff = self._get(f"/session/{session}/diff").json()
        yield event("session.diff", {"sessionID": session, "diff": objects(diff)}, info)

    def _ask_events(self) -> Iterator[Event]:
        """Return the open permission requests and questions, and the end of those that were answered."""
        waiting = set()
        for directory in self._directories():
            for kind in ("permission", "question"):
                answer = self._get(f"/{kind}{query(directory=directory)}").json()
                for ask in objects(answer):
                    waiting.add(str(ask.get("id")))
                    yield event(f"{kind}.asked", ask, {"directory": directory})
        for asked in self._seen.asks.values():
            if asked.id not in waiting:
                yield answered(asked)

    def _directories(self) -> list[str]:
        """Return the directories where sessions may work. Each is a separate instance in the daemon."""
        opened = [self._sessions[session] for session in self._seen.opened if session in self._sessions]
        changed = [info for info in self._sessions.values() if self._has_changed(info)]
        directories = [
            *(ask.directory for ask in self._seen.asks.values()),
            *self._seen.busy.values(),
            *(str(info.get("directory") or "") for info in (*reversed(opened), *changed)),
        ]
        return [directory for directory in dict.fromkeys(directories) if directory][:DIRECTORY_LIMIT]

    def _has_changed(self, info: Mapping[str, Any]) -> bool:
        """Return whether a session or message may have changed since the gap began."""
        times = info.get("time")
        if not isinstance(times, dict):
            return True
        last = max((value for value in times.values() if isinstance(value, int | float)), default=0)
        at_work = info.get("role") == "assistant" and "completed" not in times
        return at_work or last >= self._began - MARGIN * 1000

    def _get(self, path: str, *, also: int = http.client.OK) -> Response:
        if self._deadline.has_passed:
            raise TimedOutError(f"Reading the state took more than {MEND_SECONDS:g} s")
        answer = self._client.request("GET", path)
        if answer.status not in {http.client.OK, also}:
            raise OcattachError(f"The daemon answered GET {path} with status {answer.status}")
        if not self._began:
            self._began = (milliseconds(answer.date) or time.time() * 1000) - self._silent * 1000
        return answer


def event(kind: str, properties: Any, info: Mapping[str, Any] | None) -> Event:
    """Return an event as `/global/event` sends it."""
    envelope = {"directory": info.get("directory"), "project": info.get("projectID")} if info else {}
    given = {name: value for name, value in envelope.items() if value}
    return {**given, "payload": {"type": kind, "properties": properties}}


def answered(ask: SeenRequest) -> Event:
    """Return the event that ends a request. How it was answered is not known, and not shown."""
    kind, reply = (
        ("permission.replied", {"reply": "once"}) if ask.kind == "permission" else ("question.rejected", {})
    )
    properties = {"sessionID": ask.session, "requestID": ask.id, **reply}
    return event(kind, properties, {"directory": ask.directory})
