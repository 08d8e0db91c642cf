"""The feed of a link: what the agents of its daemon do, once each and in order, for all who want to know.

One thread takes the daemon's events from the listener, and reads after a gap what they would have reported.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from ocattach.errors import OcattachError
from ocattach.link.messages import MAX_LINE
from ocattach.link.sessions.connections import UsedConnections
from ocattach.link.sessions.event_log import EventLog
from ocattach.opencode.agent_events import KINDS, AgentEvent, AgentEvents
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import milliseconds
from ocattach.opencode.events import CONNECTED, Event
from ocattach.opencode.missed_events import missed_events

BACKLOG = 2000
SETTLED_SECONDS = 2.0
"""How long after its first event a stream is complete: what happens as it opens can be missing (1.18.33)."""

MARGIN_MS = 1000
"""How much of the time before a gap is read again: the clocks of two machines are compared to the second."""

WAIT_SECONDS = 60.0

LONGEST = MAX_LINE // 4
"""The longest line of an event, in bytes. Values of longer ones are left out."""

Subscriber = Callable[[AgentEvent, AgentEvents], None]
"""Called with each event in the feed's thread; must not block."""

log = logging.getLogger(__name__)


class Feed:
    """Thread-safe. `run` is for one thread, which `end` ends."""

    def __init__(
        self,
        connections: UsedConnections,
        open_client: Callable[[], DaemonClient],
        subscribers: Iterable[Subscriber] = (),
    ) -> None:
        self.log = EventLog()
        self._connections = connections
        self._open_client = open_client
        self._subscribers = tuple(subscribers)
        self._agents = AgentEvents()
        self._events: queue.Queue[Event | None] = queue.Queue(BACKLOG)
        self._lost_at: float | None = None
        self._reason = ""
        self._read_at: float | None = None
        """When to read what the opening stream may have missed, by the monotonic clock."""
        self._since = 0.0
        self._has_begun = False
        self._ended = threading.Event()

    @property
    def is_at_work(self) -> bool:
        """Whether a session works or waits, as far as is known."""
        return any(each.is_idle is False for each in list(self._agents.sessions.values()))

    @property
    def is_settled(self) -> bool:
        """Whether nothing is known to be missing."""
        return self._has_begun and self._read_at is None and self._events.empty()

    def receive(self, event: Event) -> None:
        """Queue an event of the daemon. Blocks while too many are queued."""
        if event.kind not in KINDS and event.kind != CONNECTED:
            return
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._events.put(event, timeout=1)
                return

    def lose(self, reason: str) -> None:
        """The stream of events has ended; what happens from now on is missed."""
        if self._lost_at is None:
            self._lost_at, self._reason = time.time(), reason

    def run(self) -> None:
        """Publish events until the feed ends."""
        while not self._ended.is_set():
            try:
                self._run_once()
            except Exception:
                log.exception("Could not process the events of agents")
                self._ended.wait(1)

    def _run_once(self) -> None:
        event = None
        with suppress(queue.Empty):
            event = self._events.get(timeout=self._seconds_to_wait())
        if event is not None and event.kind == CONNECTED:
            self._begin()
        elif event is not None:
            self._publish_all(self._agents.take(event))
        if self._read_at is not None and time.monotonic() >= self._read_at:
            self._read_missed()
            self._read_at = None

    def _seconds_to_wait(self) -> float:
        return WAIT_SECONDS if self._read_at is None else max(0.0, self._read_at - time.monotonic())

    def _begin(self) -> None:
        """A stream begins. After a former one, report the gap and what happened in it."""
        self._has_begun = True
        now = time.time()
        lost_at, self._lost_at = self._lost_at, None
        self._since = (now if lost_at is None else lost_at) * 1000
        if lost_at is not None:
            self._publish({"event": "gap", "seconds": round(now - lost_at, 3), "reason": self._reason})
            self._read_missed()
        self._read_at = time.monotonic() + SETTLED_SECONDS

    def _read_missed(self) -> None:
        try:
            client = self._open_client()
            asked = time.time() * 1000
            ahead = (milliseconds(client.health().date) or asked) - asked
            for event in missed_events(client, self._agents, self._since + ahead - MARGIN_MS):
                self._publish_all(self._agents.take(event))
        except OcattachError as error:
            log.info("Could not read what sessions did meanwhile: %s", error)

    def _publish_all(self, events: Iterable[AgentEvent]) -> None:
        for event in events:
            self._publish(event)

    def _publish(self, event: AgentEvent) -> None:
        session = self._agents.sessions.get(str(event.get("session")))
        used = self._connections
        directory = event.get("directory") or ""
        origin = session.origin if session is not None else None
        full = {
            "schema": 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": event["event"],
            "environment": used.name,
            "origin": origin if origin and used.has_name(origin) else used.origin(directory),
            **event,
        }
        self.log.append(encoded(full))
        for subscriber in self._subscribers:
            subscriber(full, self._agents)

    def end(self) -> None:
        """End the thread, and wake all readers."""
        self._ended.set()
        self.log.close()
        with suppress(queue.Full):  # then the thread is awake anyway
            self._events.put_nowait(None)


def encoded(event: AgentEvent) -> bytes:
    """Return an event as a line of JSON. Of one that is too long, values of a tool or request are left out."""
    line = json.dumps(event, separators=(",", ":")).encode()
    if len(line) <= LONGEST:
        return line
    short = {name: value for name, value in event.items() if len(json.dumps(value)) < LONGEST // 16}
    return json.dumps({**short, "truncated": True}, separators=(",", ":")).encode()
