"""Sends a TUI the events that it missed.

OpenCode's TUI (1.1.65 to 1.18.33) reads a session's messages once, permission requests never, and nothing again after
its stream of events was interrupted: it does not show what happened meanwhile until it is restarted, and a permission
that was answered elsewhere keeps blocking it. It accepts events whose content it knows already. So the current state is
read from the API and sent as events.

`server.instance.disposed`, after which it reads its lists again, does not work: the TUI ends if one of these requests
fails, and it reads no messages.
"""

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ocattach.backoff import Deadline
from ocattach.errors import OcattachError, TimedOutError
from ocattach.opencode.api import DaemonClient, query
from ocattach.opencode.endpoint import Response, milliseconds
from ocattach.opencode.sessions import is_session_id
from ocattach.opencode.tui.seen import BY_TUI, CREATION, STATUSES, Seen, SeenRequest, is_stream
from ocattach.printable import command_line, printable
from ocattach.untrusted_json import objects, table

MEND_SECONDS = 8.0
"""How long reading the state may take; what was read by then is sent."""

REQUEST_SECONDS = 5.0
"""Seconds for each request of `connect`: the messages of a session can be megabytes."""

BYTE_LIMIT = 8 * 1024 * 1024
DIRECTORY_LIMIT = 8
MESSAGE_LIMIT = 100
"""As many as the TUI requests."""

MARGIN = 10.0
"""Seconds before the gap whose messages are sent again: clocks are compared to the second."""

TOAST_SECONDS, GREETING_SECONDS = 20, 8
OPENING_SECONDS, LATE_SECONDS = 10, 60
"""How long a TUI may take to open before it is greeted anyway, and how much longer before it is not greeted again."""

BARE = b"GET /event"
"""The request whose events have no envelope."""

log = logging.getLogger(__name__)

Event = dict[str, Any]


class Greeting(NamedTuple):
    """What a TUI that opens is shown."""

    message: str
    requests: Mapping[str, Event] | None
    """The pending permission requests and questions by their ids, as the events that announce them; None: not known."""


class Resync:
    """What the TUIs of one link have seen. Implements `tunnel.event_stream.StreamResumer`.

    `connect` returns a client of the current daemon, `name` the name of the environment, and `greeting` what a TUI that
    opens is shown; it queries the daemon. `on_creation` is called in the tunnel's thread when a client requests a new
    session.
    """

    def __init__(
        self,
        connect: Callable[[], DaemonClient],
        *,
        name: Callable[[], str],
        greeting: Callable[[], Greeting],
        on_creation: Callable[[], object] = lambda: None,
    ) -> None:
        self._connect = connect
        self._name, self._greeting = name, greeting
        self._on_creation = on_creation
        self._seen = Seen()
        self._opened = threading.Condition()
        self._openings = 0
        """How many TUIs have opened; `_opened` is notified of each."""

    def handles(self, request: bytes) -> bool:
        """Inspect a request of a client. Returns whether it is a request for events by a TUI or the page."""
        if CREATION.match(request):
            self._on_creation()
        return is_stream(request)

    def learn(self, request: bytes) -> None:
        """Remember what a TUI asked for and got."""
        self._seen.request(request)
        if STATUSES.match(request) and BY_TUI.search(request):
            with self._opened:
                self._openings += 1
                self._opened.notify_all()

    def observe(self, events: bytes) -> None:
        """Inspect events that were sent to a TUI."""
        self._seen.events(events)

    def replay(self, request: bytes, silent: float) -> list[bytes]:
        """Return the events for a TUI that received nothing for `silent` seconds.

        If not everything could be read in time, the last event is a notice with the command to restart the TUI.
        """
        seen = self._seen.copy()
        size = 0
        events: list[bytes] = []
        try:
            for event in MissedState(self._connect(), seen, silent).events():
                encoded = encode(event, bare=request.startswith(BARE))
                size += len(encoded)
                if size > BYTE_LIMIT:
                    raise TimedOutError(f"More than {BYTE_LIMIT // 1024**2} MiB were missed")
                events.append(encoded)
        except OcattachError as error:
            log.info("Could not send a TUI all that it missed in %.0f s: %s", silent, error)
            events.append(self.message_event(request, advice(command_line("ocattach", self._name()), seen)))
        else:
            log.info("Sent a TUI what it missed in %.0f s, as %d events", silent, len(events))
        self._seen.events(b"".join(events))
        return events

    def greet(self, request: bytes) -> Iterator[bytes]:
        """Yield events for a TUI once it can show them: the greeting, then the end of what was answered meanwhile.

        The TUI drops messages until its screen is there, which is when it requests what sessions do, and never reads
        the permission requests and questions that are pending then (1.18.33). OpenCode's page does both by itself.
        """
        if BY_TUI.search(request) is None:
            return
        before = self._openings
        has_opened = self._await_opening(before, OPENING_SECONDS)
        yield from self._greet(request)
        if not has_opened and self._await_opening(before, LATE_SECONDS):
            yield from self._greet(request)

    def _await_opening(self, before: int, seconds: float) -> bool:
        with self._opened:
            return self._opened.wait_for(lambda: self._openings > before, seconds)

    def _greet(self, request: bytes) -> Iterator[bytes]:
        bare = request.startswith(BARE)
        message, requests = self._greeting()
        asked = b"".join(encode(each, bare=bare) for each in (requests or {}).values())
        self._seen.events(asked)
        log.info("A TUI has opened; requests that wait for a person: %s", ", ".join(requests or ()) or "none")
        yield self.message_event(request, message, variant="info", seconds=GREETING_SECONDS) + asked
        pending = self._greeting().requests if requests else None
        if requests and pending is not None:
            seen = self._seen.copy().asks
            gone = [seen[each] for each in requests if each in seen and each not in pending]
            if gone:  # an empty one would be the end
                yield b"".join(encode(answered(each), bare=bare) for each in gone)

    def message_event(
        self, request: bytes, message: str, *, variant: str = "warning", seconds: float = TOAST_SECONDS
    ) -> bytes:
        """Return the event that shows a message in a TUI, under the name of the environment."""
        toast = {
            "title": f"ocattach: {printable(self._name())}",
            "message": printable(message),
            "variant": variant,
            "duration": int(seconds * 1000),
        }
        return encode(event("tui.toast.show", toast, None), bare=request.startswith(BARE))


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


def advice(command: str, seen: Seen) -> str:
    """Return what the user should do about an incomplete TUI."""
    session = f" -s {next(iter(seen.opened))}" if len(seen.opened) == 1 else ""
    return f"This screen may be incomplete after a lost connection. Quit and run:\n{command}{session}"


def encode(event: Event, *, bare: bool) -> bytes:
    """Encode an event as a line of the stream."""
    return b"data: %b\n\n" % json.dumps(event["payload"] if bare else event, separators=(",", ":")).encode()
