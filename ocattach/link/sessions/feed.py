"""The feed of a link: what the agents of its daemon do, once each and in order, for all subscribers.

The listener's thread publishes events as it reads them, except while the feed's thread reads what was missed in a gap:
then they wait until that is published.
"""

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
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

BACKLOG = 200
"""How many events wait at most, each of up to 1 MiB; the daemon keeps further ones."""

FULL_SECONDS = 0.05
"""How often a full backlog is tried again."""

RETRY_SECONDS = 5.0
"""How long after a failed attempt what was missed is read again."""

TRIES = 5
"""How often that is tried."""

PAUSE_SECONDS = 1.0
"""How long the thread waits after an unexpected exception."""

SETTLED_SECONDS = 2.0
"""How long after its first event a stream is complete: what happens as it opens can be missing (1.18.33)."""

MARGIN_MS = 1000
"""How much of the time before a gap is read again: the clocks of two machines are compared to the second."""

LATE_SECONDS = 4.0
"""How late an event may have been that was sent before the last one that arrived."""

LONGEST = MAX_LINE // 4
"""The longest line of an event, in bytes. Values of longer ones are left out."""

Subscriber = Callable[[AgentEvent, AgentEvents], None]
"""Called with each event, one at a time; must not block."""

ENCODER = json.JSONEncoder(separators=(",", ":"))

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
        self._turn = threading.Lock()
        """Held while events are published."""
        self._waiting: deque[Event] = deque()
        self._is_behind = False
        """Whether events have to wait, since earlier ones are still read."""
        self._opened = 0.0
        """When the daemon could first be used through the link, by this machine's clock."""
        self._began = 0.0
        """When the stream began; 0 before the first one."""
        self._heard_at = 0.0
        self._lost_at = 0.0
        self._reason = "the stream of events has ended"
        self._read_at: list[float] = []
        """When to read what was missed and what the opening stream may have missed, by the monotonic clock."""
        self._since, self._margin_ms = math.inf, 0
        """Since when events are unread, by this machine's clock."""
        self._is_after_gap, self._tries = False, TRIES
        self._ended = threading.Event()
        self._wake = threading.Event()

    @property
    def is_at_work(self) -> bool:
        """Whether a session works or waits, as far as is known."""
        return any(each.is_idle is False for each in list(self._agents.sessions.values()))

    @property
    def waiting(self) -> list[str]:
        """The root sessions that wait for a person, as far as is known."""
        asking = [session for _, session, _ in list(self._agents.requests.values())]
        known = self._agents.sessions
        return [
            *dict.fromkeys(
                self._agents.root_of(each) for each in asking if each in known and not known[each].is_idle
            )
        ]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is known to be missing."""
        return bool(self._began) and not self._read_at and not self._is_behind

    def open(self) -> None:
        """The daemon can be used through the link from now on: what happens before the first stream is read, too."""
        self._opened = self._opened or time.time()

    def receive(self, event: Event) -> None:
        """Take an event of the daemon. Blocks while too many are waiting."""
        self._heard_at = time.time()
        if event.kind not in KINDS and event.kind != CONNECTED:
            return
        while not self._ended.is_set():
            with self._turn:
                if not self._is_behind:
                    self._take(event)
                    return
                if len(self._waiting) < BACKLOG:
                    self._waiting.append(event)
                    if event.kind == CONNECTED:
                        self._wake.set()
                    return
            self._ended.wait(FULL_SECONDS)

    def lose(self, reason: str) -> None:
        """The stream of events has ended; what has happened since its latest event is missed."""
        if not self._lost_at:
            self._lost_at, self._reason = self._heard_at, reason

    def run(self) -> None:
        """Read what was missed, each time a stream has begun, until the feed ends."""
        while not self._ended.is_set():
            try:
                self._run_once()
            except Exception:
                log.exception("Could not read what sessions did meanwhile")
                self._ended.wait(PAUSE_SECONDS)

    def _run_once(self) -> None:
        self._wake.wait(self._seconds_to_wait())
        self._wake.clear()
        with self._turn:
            if self._must_hold:
                self._begin_again()
            is_due = bool(self._read_at) and self._read_at[0] <= time.monotonic()
            if not is_due and (self._must_hold or not self._is_behind):
                return
            self._is_behind = True
        try:
            if is_due:
                has_read = self._read_missed()
                # A daemon that answers late opens its stream late, too.
                again = [time.monotonic() + SETTLED_SECONDS] if self._read_at[1:] else []
                self._read_at = sorted([*again, *([] if has_read else self._retry())])[:1]
                if has_read:
                    self._since = self._began if self._read_at else math.inf
        finally:
            if not self._must_hold:
                self._catch_up()

    @property
    def _must_hold(self) -> bool:
        """Whether events wait for a read that may report earlier ones: after a gap, until the stream is complete."""
        return self._is_after_gap and bool(self._read_at)

    def _retry(self) -> list[float]:
        """When to read again after a failed attempt; never after too many, since events wait for it."""
        self._tries -= 1
        if self._tries > 0:
            return [time.monotonic() + RETRY_SECONDS]
        log.warning("What sessions did meanwhile could not be read")
        return []

    def _seconds_to_wait(self) -> float | None:
        if self._read_at and (self._must_hold or not self._is_behind):
            return max(0.0, self._read_at[0] - time.monotonic())
        return 0 if self._is_behind else None

    def _catch_up(self) -> None:
        """Publish the events that came meanwhile, up to the next gap."""
        while True:
            with self._turn:
                self._is_behind = bool(self._waiting)
                if not self._waiting:
                    return
                event = self._waiting.popleft()
                self._take(event)
                if event.kind == CONNECTED:
                    return

    def _take(self, event: Event) -> None:
        """Publish what an event reports, holding `_turn`."""
        try:
            if event.kind == CONNECTED:
                self._begin()
            else:
                self._publish_all(self._agents.take(event))
        except Exception:
            log.exception("Could not process an event of an agent")

    def _begin_again(self) -> None:
        """If another stream has begun before the gap was read, take it: the read reports what waits, too."""
        while any(event.kind == CONNECTED for event in self._waiting):
            if self._waiting.popleft().kind == CONNECTED:
                self._begin()

    def _begin(self) -> None:
        """A stream begins: report the gap after a former one, and read what happened since."""
        now, lost_at = time.time(), self._lost_at or self._began
        self._began, self._lost_at = now, 0.0
        since = lost_at - LATE_SECONDS if lost_at else self._opened or now
        self._since = min(since, self._since)
        self._margin_ms = MARGIN_MS if lost_at else 0  # what was before the link is not reported
        self._is_after_gap, self._tries = bool(lost_at), TRIES
        self._read_at = [0.0, time.monotonic() + SETTLED_SECONDS]
        self._is_behind = True
        self._wake.set()
        if lost_at:
            self._publish({"event": "gap", "seconds": round(now - lost_at, 3), "reason": self._reason})

    def _read_missed(self) -> bool:
        """Publish what was missed. Returns whether it could be read; if not, it is read again later."""
        try:
            client = self._open_client()
            asked = time.time() * 1000
            date = milliseconds(client.health().date)
            ahead = 0 if date is None else least_ahead(date, asked, answered=time.time() * 1000)
            for event in missed_events(client, self._agents, self._since * 1000 + ahead - self._margin_ms):
                self._publish_all(self._agents.take(event))
        except OcattachError as error:
            log.info("Could not read yet what sessions did meanwhile: %s", error)
            return False
        except Exception:
            log.exception("Could not read what sessions did meanwhile")
            return False
        return True

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
        self._wake.set()
        self.log.close()


def least_ahead(date: float, asked: float, *, answered: float) -> float:
    """Return how far the clock of a daemon is ahead at least, in milliseconds; 0 if it may show the same time.

    `date` is the time of its answer in whole seconds. A busy daemon answers late, which is not a clock that is ahead.
    """
    return 0 if asked - 1000 <= date <= answered else date - answered


def encoded(event: AgentEvent) -> bytes:
    """Return an event as a line of JSON. Of one that is too long, values of a tool or request are left out."""
    line = ENCODER.encode(event).encode()
    if len(line) <= LONGEST:
        return line
    short = {name: value for name, value in event.items() if len(json.dumps(value)) < LONGEST // 16}
    return ENCODER.encode({**short, "truncated": True}).encode()
