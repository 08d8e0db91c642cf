"""Telling a TUI what it has missed, in the events that would have told it.

OpenCode's TUI (1.1.65 to 1.18.33) asks for a session's messages once, for what waits for a person never, and for
nothing again when its stream of events was interrupted: what happened meanwhile stays missing until it is started
anew, and a permission that was given elsewhere stays asked for, which leaves it unusable. It takes events that say
what it knows already without a sign. So the present state is read from the API and told to it as events.

Not `server.instance.disposed`, upon which it asks for its lists again: it ends when one of those requests fails, and
reads no messages.
"""

import http.client
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from ocattach.errors import OcattachError, TimedOutError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import Answer
from ocattach.opencode.tui.seen import CREATION, Ask, Seen, is_stream

MEND_SECONDS = 8.0
"""How long reading the state may take; what has been read until then is told."""

REQUEST_SECONDS = 5.0
"""How long the requests of `connect` should be given: a session's messages can be megabytes."""

BYTE_LIMIT = 8 * 1024 * 1024
DIRECTORY_LIMIT = 8
MESSAGE_LIMIT = 100
"""As many as the TUI asks for and shows."""

MARGIN = 10.0
"""Seconds before the gap from which on messages are told again: clocks are compared to the second."""

TOAST_SECONDS = 20
BARE = b"GET /event"
"""The request whose events have no envelope."""

log = logging.getLogger(__name__)

Event = dict[str, Any]


class Resync:
    """What the TUIs of one link have seen, and how each is told what it missed: see `tunnel.event_stream.Keeper`.

    `connect` gives requests to the daemon as it is now; `command` is what starts the TUI anew. `on_creation` is told,
    in the tunnel's thread, that a client asks for a new session.
    """

    def __init__(
        self,
        connect: Callable[[], DaemonClient],
        *,
        command: str,
        on_creation: Callable[[], object] = lambda: None,
    ) -> None:
        self._connect = connect
        self._command = command
        self._on_creation = on_creation
        self._seen = Seen()

    def keeps(self, request: bytes) -> bool:
        """Look at what a client sent; whether it is a TUI's request for events."""
        if CREATION.match(request):
            self._on_creation()
        return is_stream(request)

    def learn(self, request: bytes) -> None:
        """Remember what a TUI asked for and got."""
        self._seen.request(request)

    def note(self, events: bytes) -> None:
        """Look at events that were handed to a TUI."""
        self._seen.events(events)

    def mend(self, request: bytes, silent: float) -> list[bytes]:
        """The events that make a TUI whole that was handed nothing for so many seconds.

        What could not be read in time is named in a notice on its screen, with the command to start it anew.
        """
        seen = self._seen.copy()
        size = 0
        told: list[bytes] = []
        try:
            for event in State(self._connect(), seen, silent).events():
                encoded = encode(event, bare=request.startswith(BARE))
                size += len(encoded)
                if size > BYTE_LIMIT:
                    raise TimedOutError(f"What was missed is more than {BYTE_LIMIT // 1024**2} MiB")
                told.append(encoded)
        except OcattachError as error:
            log.info("a TUI that missed %.0f s could not be told all: %s", silent, error)
            told.append(self.tell(request, advice(self._command, seen)))
        else:
            log.info("told a TUI what it missed in %.0f s, in %d events", silent, len(told))
        self._seen.events(b"".join(told))
        return told

    def tell(self, request: bytes, message: str) -> bytes:
        """The event that shows a message on a TUI's screen."""
        return encode(notice(message), bare=request.startswith(BARE))


class State:
    """The present state of what TUIs have seen, and since when it may be new to them."""

    def __init__(self, client: DaemonClient, seen: Seen, silent: float) -> None:
        self._client = client
        self._seen = seen
        self._silent = silent
        self._deadline = time.monotonic() + MEND_SECONDS
        self._began = 0.0
        """When the gap began, in milliseconds of the daemon's clock."""
        self._sessions: dict[str, dict[str, Any]] = {}

    def events(self) -> Iterator[Event]:
        """The events that tell it; what the TUI needs most comes first."""
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
                self._sessions[str(info.get("id"))] = info
        for session in reversed(self._seen.opened):
            if session in self._sessions:
                continue
            answer = self._get(f"/session/{session}", also=http.client.NOT_FOUND)
            info = answer.json()
            if answer.status == http.client.NOT_FOUND:
                yield event("session.deleted", {"sessionID": session, "info": {"id": session}}, None)
            elif isinstance(info, dict):
                self._sessions[session] = info
        for session, info in self._sessions.items():
            yield event("session.updated", {"sessionID": session, "info": info}, info)

    def _statuses(self) -> dict[str, Any]:
        statuses: dict[str, Any] = {}
        for directory in self._directories():
            answer = self._get(f"/session/status?directory={quote(directory, safe='')}").json()
            statuses |= answer if isinstance(answer, dict) else {}
        return statuses

    def _content_events(self, info: Mapping[str, Any]) -> Iterator[Event]:
        """Messages and what goes with them, as far as they can be new."""
        session = str(info["id"])
        for message in objects(self._get(f"/session/{session}/message?limit={MESSAGE_LIMIT}").json()):
            about = message.get("info")
            if not isinstance(about, dict) or not self._has_changed(about):
                continue
            yield event("message.updated", {"sessionID": session, "info": about}, info)
            for part in objects(message.get("parts")):
                if not self._would_erase(part):
                    changed = {"sessionID": session, "part": part, "time": int(time.time() * 1000)}
                    yield event("message.part.updated", changed, info)
        todos = self._get(f"/session/{session}/todo").json()
        yield event("todo.updated", {"sessionID": session, "todos": objects(todos)}, info)
        diff = self._get(f"/session/{session}/diff").json()
        yield event("session.diff", {"sessionID": session, "diff": objects(diff)}, info)

    def _ask_events(self) -> Iterator[Event]:
        """What is asked now, and that nothing else is: of what was answered meanwhile only its end matters."""
        waiting = set()
        for directory in self._directories():
            for kind in ("permission", "question"):
                answer = self._get(f"/{kind}?directory={quote(directory, safe='')}").json()
                for ask in objects(answer):
                    waiting.add(str(ask.get("id")))
                    yield event(f"{kind}.asked", ask, {"directory": directory})
        for asked in self._seen.asks.values():
            if asked.id not in waiting:
                yield answered(asked)

    def _directories(self) -> list[str]:
        """Where something may be at work; each is an instance of its own in the daemon."""
        opened = [self._sessions[session] for session in self._seen.opened if session in self._sessions]
        changed = [info for info in self._sessions.values() if self._has_changed(info)]
        directories = [
            *(ask.directory for ask in self._seen.asks.values()),
            *self._seen.busy.values(),
            *(str(info.get("directory") or "") for info in (*reversed(opened), *changed)),
        ]
        return [directory for directory in dict.fromkeys(directories) if directory][:DIRECTORY_LIMIT]

    def _has_changed(self, info: Mapping[str, Any]) -> bool:
        """Whether a session or message may have changed in the gap: one that is at work may have."""
        times = info.get("time")
        if not isinstance(times, dict):
            return True
        last = max((value for value in times.values() if isinstance(value, int | float)), default=0)
        at_work = info.get("role") == "assistant" and "completed" not in times
        return at_work or last >= self._began - MARGIN * 1000

    def _would_erase(self, part: Mapping[str, Any]) -> bool:
        """Whether the API knows less of a part than the TUI: it gets a text's words only at its end."""
        return part.get("text") == "" and part.get("id") in self._seen.grown

    def _get(self, path: str, *, also: int = http.client.OK) -> Answer:
        if time.monotonic() > self._deadline:
            raise TimedOutError(f"Reading what was missed took more than {MEND_SECONDS:g} s")
        answer = self._client.request("GET", path)
        if answer.status not in {http.client.OK, also}:
            raise OcattachError(f"The daemon answered GET {path} with status {answer.status}")
        if not self._began:
            self._began = (milliseconds(answer.date) or time.time() * 1000) - self._silent * 1000
        return answer


def event(kind: str, properties: Any, info: Mapping[str, Any] | None) -> Event:
    """An event as `/global/event` has it, about something of a session."""
    envelope = {"directory": info.get("directory"), "project": info.get("projectID")} if info else {}
    told = {name: value for name, value in envelope.items() if value}
    return {**told, "payload": {"type": kind, "properties": properties}}


def answered(ask: Ask) -> Event:
    """That a question is not to be asked any more; how it was answered is not known, and not shown."""
    kind, reply = (
        ("permission.replied", {"reply": "once"}) if ask.kind == "permission" else ("question.rejected", {})
    )
    properties = {"sessionID": ask.session, "requestID": ask.id, **reply}
    return event(kind, properties, {"directory": ask.directory})


def advice(command: str, seen: Seen) -> str:
    """What to do about a TUI that is not whole."""
    session = f" -s {next(iter(seen.opened))}" if len(seen.opened) == 1 else ""
    return f"Not all that was missed could be read. Quit and run:\n{command}{session}"


def notice(message: str) -> Event:
    """A notice on the TUI's screen."""
    toast = {
        "title": "ocattach",
        "message": message,
        "variant": "warning",
        "duration": TOAST_SECONDS * 1000,
    }
    return event("tui.toast.show", toast, None)


def encode(event: Event, *, bare: bool) -> bytes:
    """An event as it travels."""
    return b"data: %b\n\n" % json.dumps(event["payload"] if bare else event, separators=(",", ":")).encode()


def objects(answer: Any) -> list[dict[str, Any]]:
    """The objects in an answer that should be a list of them."""
    return [item for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []


def milliseconds(date: str) -> float | None:
    """A date of HTTP."""
    try:
        return parsedate_to_datetime(date).timestamp() * 1000
    except ValueError:
        return None
