"""What the TUIs of a link have seen, as far as it has to be known to mend them after a gap.

The requests and events are those of OpenCode 1.18.33; 1.1.65, 1.14.41 and 1.17.0 have the same.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

STREAM = re.compile(rb"GET (?:/global)?/event[? ][^\r]*\r\n")
TUI = re.compile(rb"\r\nUser-Agent: opencode/", re.IGNORECASE)
"""How a TUI calls itself. Other readers of events may count on a reset to tell them that they have missed some."""

HEAD_END = b"\r\n\r\n"
MESSAGES = re.compile(rb"GET /session/(ses_\w+)/message[? ]")
"""What the TUI asks for when it shows a session for the first time, and never again."""

SESSIONS = re.compile(rb"GET (/session(?:\?[^ ]*)?) ")
"""What it asks for once, as it starts."""

CREATION = re.compile(rb"POST /session[? ]")
"""What any client asks for to have a new session."""

OBSERVED = re.compile(rb'"type":"(?:permission|question|session\.status)')
GROWN = re.compile(rb'"type":"message\.part\.delta"[^\n]*"partID":"(prt_\w+)"')
"""Words that come one after the other; not in a text that is told, where the quotes have backslashes."""

ASKED = {"permission.asked": "permission", "question.asked": "question"}
ANSWERED = ("permission.replied", "question.replied", "question.rejected")


def is_stream(request: bytes) -> bool:
    """Whether this is the whole head of a TUI's request for events."""
    return (
        STREAM.match(request) is not None and TUI.search(request) is not None and request.endswith(HEAD_END)
    )


K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Ask:
    """Something a session waits for a person to decide."""

    kind: str
    id: str
    session: str
    directory: str


@dataclass(slots=True)
class Seen:
    """The most recent of each; read from other threads than it is written in."""

    lists: dict[str, None] = field(default_factory=dict)
    """Paths of requests for lists of sessions."""

    opened: dict[str, None] = field(default_factory=dict)
    """Sessions whose messages were asked for."""

    asks: dict[str, Ask] = field(default_factory=dict)
    """Those that no answer was seen to."""

    busy: dict[str, str] = field(default_factory=dict)
    """Sessions that were last seen at work, and their directories."""

    grown: dict[str, None] = field(default_factory=dict)
    """Parts of messages of which words were seen before the whole."""

    lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, request: bytes) -> None:
        """Take the head of a request that was answered with success."""
        with self.lock:
            if found := MESSAGES.match(request):
                remember(self.opened, found[1].decode(), None, limit=16)
            elif found := SESSIONS.match(request):
                remember(self.lists, found[1].decode(errors="replace"), None, limit=4)

    def events(self, events: bytes) -> None:
        """Look at events that a TUI was handed."""
        for part in set(GROWN.findall(events)):
            with self.lock:
                remember(self.grown, part.decode(), None, limit=256)
        if OBSERVED.search(events) is None:
            return
        for directory, kind, properties in parse_events(events):
            session = str(properties.get("sessionID"))
            with self.lock:
                if kind in ASKED:
                    ask = Ask(ASKED[kind], str(properties.get("id")), session, directory)
                    remember(self.asks, ask.id, ask, limit=256)
                elif kind in ANSWERED:
                    self.asks.pop(str(properties.get("requestID")), None)
                elif kind == "session.status":
                    if properties.get("status") == {"type": "idle"}:
                        self.busy.pop(session, None)
                    else:
                        remember(self.busy, session, directory, limit=64)

    def copy(self) -> "Seen":
        """What has been seen until now."""
        with self.lock:
            return Seen(
                dict(self.lists), dict(self.opened), dict(self.asks), dict(self.busy), dict(self.grown)
            )


def remember(mapping: dict[K, V], key: K, value: V, *, limit: int) -> None:
    """Add what is most recent; what has been so the longest ago is forgotten."""
    mapping.pop(key, None)
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]


def parse_events(events: bytes) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Directory, type and properties of each of the events that are looked at."""
    for line in events.split(b"\n"):
        if not line.startswith(b"data:") or OBSERVED.search(line) is None:
            continue
        try:
            event = json.loads(line.removeprefix(b"data:"))
        except (ValueError, RecursionError):
            continue  # the rest of one that was too long
        if not isinstance(event, dict):
            continue
        payload = event.get("payload", event)
        properties = payload.get("properties") if isinstance(payload, dict) else None
        if isinstance(properties, dict):
            yield str(event.get("directory") or ""), str(payload.get("type")), properties
