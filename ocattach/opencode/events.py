"""The events of a daemon, for all its directories: the stream of /global/event (1.1.65 to 1.18.33).

Each event is a line `data: {"directory", "project", "payload": {"type", "properties"}}`. The first is
`server.connected`, and `server.heartbeat` comes every 10 s, so a silent stream is lost. Most events
are repeated as the payload of an event of the type `sync`. Missed events are never sent again. What happens just after
`server.connected`, or while other streams open and close, can be missing (1.18.33).
"""

import http.client
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ocattach.errors import ConnectionLostError, OcattachError
from ocattach.opencode.api import DaemonClient, read_data, rejected_password
from ocattach.untrusted_json import table

CONNECTED = "server.connected"
"""The first event of a stream."""

HEARTBEAT = "server.heartbeat"
CREATED, UPDATED, DELETED = "session.created", "session.updated", "session.deleted"
STATUS = "session.status"
"""{"sessionID", "status": {"type"}}: a session starts to work, retries a request, or is idle (1.18.33)."""

RUN_TEXT = ("message.updated", "message.part.updated", "message.part.delta")
"""Events with the text of an answer."""

RUN_CHANGES = (
    *(STATUS, "session.idle", "permission.asked", "permission.updated", "permission.replied"),
    *("question.asked", "question.replied", "question.rejected"),
)
"""Events after which the state of a session may have changed."""

RUN_ERROR = "session.error"

SILENCE_SECONDS = 35.0
"""How long a stream may be silent before it counts as lost: three heartbeats."""

LONGEST_EVENT = 1024 * 1024
"""The largest event that is read, in bytes. Events about sessions have a few hundred."""

READ_SIZE = 64 * 1024

EVENT_ID = re.compile(r"evt_([0-9a-f]{9})")
ID_TURN = 1 << 36
FARTHEST = 10_000
"""Milliseconds: an id whose time differs by more from the expected time has another format."""


class Event(NamedTuple):
    """An event of a daemon."""

    kind: str
    """Its type, such as "session.created"."""

    directory: str
    """The directory it belongs to; empty for events about the daemon."""

    properties: Mapping[str, Any]

    id: str = ""
    """evt_…; empty in versions without event ids."""

    def sent_at(self, near: float) -> float:
        """Return when it was sent by the daemon's clock, in milliseconds; `near` is an estimate, to a few seconds.

        Ids begin with the last 36 bits of the time in milliseconds (1.18.33).
        """
        found = EVENT_ID.match(self.id)
        if found is None:
            return near
        off = (int(found[1], 16) - int(near) + ID_TURN // 2) % ID_TURN - ID_TURN // 2
        return int(near) + off if abs(off) < FARTHEST else near


def read_events(
    client: DaemonClient, kinds: Collection[str], receive: Callable[[Event], bool], *, silence: float
) -> None:
    """Read the stream of events and call `receive` with those of these types, until that returns False.

    Raises ConnectionLostError if the stream ends, TimedOutError after `silence` seconds without data,
    AuthenticationError if the password is rejected, and OcattachError if the answer is not such a stream.
    """
    pattern = rb'"type":"(?:%b)"' % b"|".join(re.escape(kind.encode()) for kind in kinds)
    wanted = re.compile(pattern)

    def read(response: http.client.HTTPResponse) -> None:
        content_type = response.headers.get_content_type()
        if response.status == http.client.UNAUTHORIZED:
            raise rejected_password()
        if response.status != http.client.OK or content_type != "text/event-stream":
            raise OcattachError(
                f"The daemon did not send a stream of events (status {response.status}, {content_type})"
            )
        for line in lines(response):
            # There is an event for every word of an answer: only lines of wanted types are parsed.
            event = parse_event(line) if wanted.search(line) else None
            if event is not None and event.kind in kinds and not receive(event):
                return
        raise ConnectionLostError("The daemon has closed its stream of events")

    client.stream("/global/event", read, silence=silence)


def lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of a stream as they come; of a line that is too long, only its end."""
    rest = bytearray()
    while data := response.read1(READ_SIZE):  # readline would parse each chunk several times
        rest += data
        if b"\n" in data:
            *whole, last = rest.split(b"\n")
            yield from map(bytes, whole)
            rest = last
        elif len(rest) > LONGEST_EVENT:
            rest.clear()


def parse_event(line: bytes) -> Event | None:
    """Parse a line. Returns None if it is not an event, such as the rest of one that was too long."""
    content = read_data(line)
    payload = table(content.get("payload"))
    properties = payload.get("properties")
    if not isinstance(properties, dict):
        return None
    return Event(
        str(payload.get("type")),
        str(content.get("directory") or ""),
        properties,
        str(payload.get("id") or ""),
    )


def session_of(properties: Mapping[str, Any]) -> Any:
    """Return the id of the session that an event is about; None if it does not say."""
    for place in (properties, properties.get("part"), properties.get("info")):
        if isinstance(place, Mapping) and "sessionID" in place:
            return place["sessionID"]
    return None
