"""What the TUIs of a link have seen, as far as `resumer` needs it.

The requests and events are those of OpenCode 1.18.33; 1.1.65, 1.14.41 and 1.17.0 have the same.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ocattach.opencode.api import read_data
from ocattach.untrusted_json import table

STREAM = re.compile(rb"GET (?:/global)?/event[? ][^\r]*\r\n")
BY_TUI = re.compile(rb"\r\nUser-Agent: opencode/", re.IGNORECASE)
TUI = re.compile(rb"\r\n(?:User-Agent: opencode/|Sec-Fetch-Site: same-origin\r)", re.IGNORECASE)
"""The TUI, and OpenCode's own page, which does not show what it missed either. Others may rely on a reset."""

HEAD_END = b"\r\n\r\n"
MESSAGES = re.compile(rb"(?:GET|POST) /session/(ses_\w+)/(?:message|prompt_async)[? ]")
"""The TUI's request when it first shows a session, which is not repeated, and prompts: the page shows a session that it
has made without this request."""

SESSIONS = re.compile(rb"GET (/session(?:\?[^ ]*)?) ")
"""The TUI's request at its start. It is not repeated."""

STATUSES = re.compile(rb"GET /session/status[? ]")
"""The TUI's request when it has opened."""

CREATION = re.compile(rb"POST /session[? ]")
OBSERVED = re.compile(rb'"type":"(?:permission|question|session\.status)')
GROWN = re.compile(rb'"type":"message\.part\.delta"[^\n]*"partID":"(prt_\w+)"')
"""The text of a part as it grows. Does not match inside of JSON strings, where quotes are escaped."""

ASKED = {"permission.asked": "permission", "question.asked": "question"}
ANSWERED = ("permission.replied", "question.replied", "question.rejected")


def is_stream(request: bytes) -> bool:
    """Whether this is the whole head of a request for events by a TUI or by OpenCode's page."""
    return (
        STREAM.match(request) is not None and TUI.search(request) is not None and request.endswith(HEAD_END)
    )


K = TypeVar("K")
V = TypeVar("V")


class SeenRequest(NamedTuple):
    """A permission request or question of a session."""

    kind: str
    id: str
    session: str
    directory: str


@dataclass(slots=True)
class Seen:
    """The most recent of each. Thread-safe."""

    lists: dict[str, None] = field(default_factory=dict)
    """The paths of requests for lists of sessions."""

    opened: dict[str, None] = field(default_factory=dict)
    """The sessions whose messages were requested."""

    asks: dict[str, SeenRequest] = field(default_factory=dict)
    """The requests without an answer so far."""

    busy: dict[str, str] = field(default_factory=dict)
    """The sessions that are at work, and their directories."""

    grown: dict[str, None] = field(default_factory=dict)
    """The parts whose text has grown."""

    lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, request: bytes) -> None:
        """Take the head of a request that was answered with success."""
        with self.lock:
            if found := MESSAGES.match(request):
                remember(self.opened, found[1].decode(), None, limit=16)
            elif found := SESSIONS.match(request):
                remember(self.lists, found[1].decode(errors="replace"), None, limit=4)

    def events(self, events: bytes) -> None:
        """Process events that were sent to a TUI."""
        for part in set(GROWN.findall(events)):
            with self.lock:
                remember(self.grown, part.decode(), None, limit=256)
        if OBSERVED.search(events) is None:
            return
        for directory, kind, properties in parse_events(events):
            session = str(properties.get("sessionID"))
            with self.lock:
                if kind in ASKED:
                    ask = SeenRequest(ASKED[kind], str(properties.get("id")), session, directory)
                    remember(self.asks, ask.id, ask, limit=256)
                elif kind in ANSWERED:
                    self.asks.pop(str(properties.get("requestID")), None)
                elif kind == "session.status":
                    if properties.get("status") == {"type": "idle"}:
                        self.busy.pop(session, None)
                    else:
                        remember(self.busy, session, directory, limit=64)

    def copy(self) -> "Seen":
        """Return a copy."""
        with self.lock:
            return Seen(
                dict(self.lists), dict(self.opened), dict(self.asks), dict(self.busy), dict(self.grown)
            )


def remember(mapping: dict[K, V], key: K, value: V, *, limit: int) -> None:
    """Add an entry, and remove the oldest ones beyond the limit."""
    mapping.pop(key, None)
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]


def parse_events(events: bytes) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return the directory, type and properties of the observed events."""
    for line in events.split(b"\n"):
        if OBSERVED.search(line) is None:
            continue
        event = read_data(line)
        payload = table(event.get("payload", event))
        properties = payload.get("properties")
        if isinstance(properties, dict):
            yield str(event.get("directory") or ""), str(payload.get("type")), properties
