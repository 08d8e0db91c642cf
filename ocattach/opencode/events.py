"""What a daemon tells as it happens, of all its directories: the stream of /global/event (1.1.65 to 1.18.33).

Each event is a line `data: {"directory", "project", "payload": {"type", "properties"}}`. The first is
`server.connected`, and `server.heartbeat` comes every 10 s, so that silence means that the stream is lost. Most events
come a second time as the payload of another, of the type `sync`; what was missed is never told again. What happens
just after `server.connected`, or while other streams open and close, may be missing without a sign (1.18.33).
"""

import http.client
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ocattach.errors import ConnectionLostError, OcattachError
from ocattach.opencode.api import DaemonClient

CONNECTED = "server.connected"

SILENCE_SECONDS = 35.0
"""After which a stream is taken for lost: three heartbeats have not come."""

LONGEST_EVENT = 1024 * 1024
"""Bytes of an event that is read; what is longer is left out. Those about sessions have some hundreds."""

EVENT_ID = re.compile(r"evt_([0-9a-f]{9})")
ID_TURN = 1 << 36
FARTHEST = 10_000
"""Milliseconds between two words about the same time; an id that is farther off is of another kind."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a daemon."""

    kind: str
    """Its type, such as "session.created"."""

    directory: str
    """Where it happened; empty where it is about the daemon."""

    properties: Mapping[str, Any]

    id: str = ""
    """evt_ and more; empty in versions that give events none."""

    def told_at(self, near: float) -> float:
        """When it was told by the daemon's clock, in milliseconds; `near` is when that may have been, to some seconds.

        Ids begin with the time in milliseconds, of which they have the last 36 bits (1.18.33).
        """
        found = EVENT_ID.match(self.id)
        if found is None:
            return near
        off = (int(found[1], 16) - int(near) + ID_TURN // 2) % ID_TURN - ID_TURN // 2
        return int(near) + off if abs(off) < FARTHEST else near


def read_events(
    client: DaemonClient, kinds: Collection[str], hear: Callable[[Event], bool], *, silence: float
) -> None:
    """Read the stream of events, hand on those of these types, and end when `hear` gives False.

    Raises ConnectionLostError at its end, TimedOutError after so many seconds without a word, and OcattachError where
    there is no such stream.
    """
    wanted = tuple(b'"type":%b' % json.dumps(kind).encode() for kind in kinds)

    def read(response: http.client.HTTPResponse) -> None:
        content_type = response.headers.get_content_type()
        if response.status != http.client.OK or content_type != "text/event-stream":
            raise OcattachError(
                f"The daemon gives no stream of events (status {response.status}, {content_type})"
            )
        while line := response.readline(LONGEST_EVENT):
            # A daemon at work tells every word that the model says: only what is wanted is parsed.
            if not any(mark in line for mark in wanted):
                continue
            event = parse_event(line)
            if event is not None and event.kind in kinds and not hear(event):
                return
        raise ConnectionLostError("The daemon has ended its stream of events")

    client.stream("/global/event", read, silence=silence)


def parse_event(line: bytes) -> Event | None:
    """An event from its line; None for what is none, such as the rest of one that was too long."""
    if not line.startswith(b"data:"):
        return None
    try:
        content = json.loads(line.removeprefix(b"data:"))
    except (ValueError, RecursionError):
        return None
    payload = content.get("payload") if isinstance(content, dict) else None
    properties = payload.get("properties") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(properties, dict):
        return None
    return Event(
        str(payload.get("type")),
        str(content.get("directory") or ""),
        properties,
        str(payload.get("id") or ""),
    )
