"""Follows the events of a link's daemon: writes the origin into new sessions, and keeps the index up to date.

It has its own connections through the tunnel. They do not keep the link alive, and no request waits for them.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ocattach.backoff import Backoff, Pace
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import AuthenticationError, OcattachError
from ocattach.link.sessions.connections import UsedConnections
from ocattach.link.sessions.feed import SETTLED_SECONDS, Feed, Subscriber
from ocattach.link.sessions.idle import IdleDirectories
from ocattach.link.sessions.index_writer import IndexWriter, open_own_index
from ocattach.link.sessions.origins import OriginTagger
from ocattach.opencode.agent_events import KINDS as FEED_KINDS
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import (
    CONNECTED,
    CREATED,
    DELETED,
    HEARTBEAT,
    SILENCE_SECONDS,
    STATUS,
    UPDATED,
    Event,
    read_events,
)
from ocattach.opencode.versions import is_second, keeps_metadata
from ocattach.sessions.origins import has_origin
from ocattach.sessions.record import Session
from ocattach.untrusted_json import table

if TYPE_CHECKING:
    from ocattach.sessions.index.store import Index

KINDS = frozenset({CONNECTED, CREATED, UPDATED, DELETED, STATUS})

QUERY_IDLE = "query-idle"
"""Queued in place of an event: query which directories are idle."""

REQUEST_SECONDS = 10.0
"""How long a request may take."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
REJECTED_SECONDS = 30.0
"""How often at most a rejected password makes the link look for the daemon anew."""

"""Seconds between two tries to open the stream of events."""

BACKLOG = 1000
EVENTS_PER_SECOND = 1000
"""How many events are taken in a second: a daemon that sends more has to wait. OpenCode sends a few for each session
at work."""

JOIN_SECONDS = 5

log = logging.getLogger(__name__)


class DaemonAccess(Protocol):
    """The link's connection to its daemon."""

    def is_up(self) -> bool:
        """Return whether the connection is established."""

    def open_client(self, timeout: float, *, counts_as_loss: bool) -> DaemonClient:
        """Return a client of the daemon; `counts_as_loss`: whether a failed dial reports the connection as lost."""

    def reject(self, reason: str) -> None:
        """The daemon has rejected its password: look for it anew with the next request."""


class SessionNotice(NamedTuple):
    """An event about a session; `session` is None if it is the first of a stream."""

    kind: str
    session: Session | None
    has_origin: bool


class SessionEventListener:
    """Follows the events of a daemon, in three threads that start with the first `resume`.

    One reads events and publishes those of agents, one acts on those about sessions, one reads what was missed.
    `end` ends them; the tunnel must be closed by then, since a thread may be reading from it.
    """

    def __init__(
        self,
        connection: DaemonAccess,
        open_index: Callable[[], "Index"] = open_own_index,
        subscribers: Iterable[Subscriber] = (),
    ) -> None:
        self._connection = connection
        self._connections = UsedConnections()
        self._environment = ""
        self._index = IndexWriter(open_index, self._connections)
        self._tagger: OriginTagger | None = None
        self._idle = IdleDirectories(self._open_client)
        self.feed = Feed(self._connections, self._open_client, subscribers)
        self._has_events = False
        self._rejected_at = -REJECTED_SECONDS
        self._notices: queue.Queue[SessionNotice | None] = queue.Queue(BACKLOG)
        self._pace = Pace(EVENTS_PER_SECOND)
        self._list_at: list[float] = []
        """When to list the changed sessions."""
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def environment_name(self) -> str:
        """The name of the connection that was used last, or its URI."""
        return self._connections.name

    def add_connection(self, spec: ConnectionSpec, directory: str | None) -> None:
        """Add a connection by which the link is used; `directory` is the absolute path of its workdir."""
        self._connections.add(spec, directory)
        self._environment = environment_id(spec, os.environ)

    def resume(self, version: str) -> None:
        """Listen to a daemon of this version, to which there is a connection now. Never blocks."""
        self._has_events = not is_second(version)
        self.feed.open()
        if self._tagger is None:
            tagger = self._tagger = OriginTagger(self._environment, self._connections, self._open_client)
            works: dict[str, Callable[[], None]] = {
                "listener": partial(self._listen, tagger),
                "tagger": partial(self._act, tagger),
                "feed": self.feed.run,
            }
            for name, work in works.items():
                thread = threading.Thread(target=work, name=f"ocattach-{name}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._tagger.keeps_metadata = keeps_metadata(version)
        self._wake.set()

    def expect(self) -> None:
        """Expect a new session, which a client of this link has requested. Never blocks."""
        if self._tagger is not None:
            self._tagger.expect()

    def idle_directories(self) -> frozenset[str]:
        """Return the directories known to be idle. If there are none, they are queried for the next call.

        Never blocks.
        """
        if self._idle.is_due:
            with suppress(queue.Full):
                self._notices.put_nowait(SessionNotice(QUERY_IDLE, None, has_origin=False))
        return self._idle.directories

    def end(self) -> None:
        """Signal the threads to end."""
        self._ended.set()
        self._wake.set()
        self.feed.end()
        with suppress(queue.Full):  # then the thread is awake anyway
            self._notices.put_nowait(None)

    def join(self) -> None:
        """Wait until the threads have ended."""
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _open_client(self) -> DaemonClient:
        # Only clients report a loss: the listener must not cause the daemon to be started again.
        return self._connection.open_client(REQUEST_SECONDS, counts_as_loss=False)

    def _listen(self, tagger: OriginTagger) -> None:
        pauses = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        while not self._ended.is_set():
            try:
                self._listen_once(tagger, pauses)
            except Exception:
                log.exception("Could not listen to events")
                self._ended.wait(FIRST_PAUSE)

    def _listen_once(self, tagger: OriginTagger, pauses: Backoff) -> None:
        if not (self._has_events and self._connection.is_up()):
            self._wake.wait()
            self._wake.clear()
            pauses.reset()
            return
        self._wake.clear()
        began = time.monotonic()
        try:
            receive = partial(self._receive, tagger)
            read_events(
                self._open_client(), KINDS | FEED_KINDS | {HEARTBEAT}, receive, silence=SILENCE_SECONDS
            )
        except OcattachError as error:
            log.debug("The stream of events has ended: %s", error)
            self.feed.lose(error.message)
            if isinstance(error, AuthenticationError) and began - self._rejected_at > REJECTED_SECONDS:
                self._rejected_at = began
                self._connection.reject(error.message)
        finally:
            self._idle.stop_listening()
        if time.monotonic() - began > SILENCE_SECONDS:
            pauses.reset()
        self._wake.wait(next(pauses))

    def _receive(self, tagger: OriginTagger, event: Event) -> bool:
        """Queue an event for the other thread. Returns whether to go on reading."""
        if pause := self._pace.seconds_to_wait():
            self._ended.wait(pause)
        self.feed.receive(event)
        if event.kind not in KINDS:
            return not self._ended.is_set()
        self._idle.receive(event)
        if event.kind == CONNECTED:
            tagger.start_listening(event)
        info = table(event.properties.get("info"))
        session = tagger.read(info)
        if event.kind == CONNECTED or session is not None:
            self._queue(SessionNotice(event.kind, session, has_origin(info)))
        return not self._ended.is_set()

    def _queue(self, notice: SessionNotice) -> None:
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._notices.put(notice, timeout=1)
                return

    def _act(self, tagger: OriginTagger) -> None:
        with ExitStack() as opened:
            while not self._ended.is_set():
                try:
                    self._act_once(tagger, opened)
                except Exception:
                    log.exception("Could not process the events")
                    self._ended.wait(FIRST_PAUSE)

    def _act_once(self, tagger: OriginTagger, opened: ExitStack) -> None:
        with suppress(queue.Empty):
            if notice := self._notices.get(timeout=self._seconds_to_wait(tagger.next_at)):
                self._process(notice, tagger)
        self._list_due(tagger)
        self._index.put(tagger.tag_due(is_up=self._connection.is_up()))
        self._index.write_due(self._environment, opened)

    def _seconds_to_wait(self, tag_at: float | None) -> float | None:
        """Return how long there is nothing to do without a notice; None without end."""
        times = [at for at in (tag_at, *self._list_at[:1], self._index.write_at) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _process(self, notice: SessionNotice, tagger: OriginTagger) -> None:
        session = notice.session
        if notice.kind == QUERY_IDLE:
            self._query_idle()
        elif session is None:
            now = time.monotonic()
            self._list_at = [now, now + SETTLED_SECONDS]
        elif notice.kind == DELETED:
            self._index.forget(session)
        else:
            self._index.put([session])
            if notice.kind == CREATED or tagger.is_new(session):  # the event of the creation can be missing
                tagger.add(session, has_origin=notice.has_origin)

    def _query_idle(self) -> None:
        try:
            if self._idle.is_due:  # an earlier notice may have done it
                self._idle.query()
        except OcattachError as error:
            log.info("Could not query the activity of sessions: %s", error)

    def _list_due(self, tagger: OriginTagger) -> None:
        if not self._list_at or self._list_at[0] > time.monotonic():
            return
        self._list_at.pop(0)
        try:
            self._index.put(tagger.list_changed())
        except OcattachError as error:
            log.info("Could not list the changed sessions: %s", error)
            if self._connection.is_up():
                self._list_at.append(time.monotonic() + LONGEST_PAUSE)
