"""Listens to what a link's daemon tells of its sessions: writes into new ones where they began, and remembers all.

It has connections of its own through the tunnel, which keep no link alive, and nobody waits for it.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

from ocattach.backoff import Backoff
from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import OcattachError
from ocattach.link.sessions.idle import STATUS, IdleDirectories
from ocattach.link.sessions.names import UsedNames
from ocattach.link.sessions.origins import OriginTagger
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import CONNECTED, SILENCE_SECONDS, Event, read_events
from ocattach.opencode.versions import is_second, keeps_metadata
from ocattach.sessions.names import index_file
from ocattach.sessions.origin import has_origin
from ocattach.sessions.record import Session

CREATED, UPDATED, DELETED = "session.created", "session.updated", "session.deleted"
KINDS = frozenset({CONNECTED, CREATED, UPDATED, DELETED, STATUS})

STILL = "still?"
"""In the place of an event: somebody wants to know where nothing is done."""

REQUEST_SECONDS = 10.0
"""How long a daemon may take for an answer: nobody waits for it."""

WRITE_SECONDS = 1.0
"""How often at most is written down what there is, however busy a session is."""

SETTLED_SECONDS = 2.0
"""After which a stream of events has all of them: what happens as it opens can be missing in it (1.18.33)."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds before it is tried again to listen."""

BACKLOG = 1000
JOIN_SECONDS = 5

log = logging.getLogger(__name__)


class Connection(Protocol):
    """The link's way to its daemon."""

    def is_up(self) -> bool:
        """Whether there is one."""

    def open_client(self, timeout: float, *, counts_as_loss: bool) -> DaemonClient:
        """Requests over it; `counts_as_loss`: whether one that cannot be made tells that the way is lost."""


class Memory(Protocol):
    """What remembers sessions: see `sessions.index`. For one thread."""

    def put(self, sessions: Iterable[Session], environment: str, asked: float, *, uri: str) -> None:
        """Remember what an environment has told at some time."""

    def forget(self, sessions: Sequence[str]) -> None:
        """Sessions are gone."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class SessionNotice:
    """What the daemon has told; `session` is None where it only says that it is being listened to."""

    kind: str
    session: Session | None
    has_origin: bool


def open_index() -> Memory:
    """The index of this account. SQLite takes long to import, and is not needed before something was told."""
    from ocattach.sessions.index.store import Index  # noqa: PLC0415

    return Index(index_file(state_directory(os.environ)))


class SessionEventListener:
    """A thread that listens, and one that acts on what was heard: they begin with the first `resume`.

    `end` ends both once the way is closed.
    """

    def __init__(self, connection: Connection, open_memory: Callable[[], Memory] = open_index) -> None:
        self._connection = connection
        self._open_memory = open_memory
        self._memory: Memory | None = None
        self._names = UsedNames()
        self._environment = ""
        self._tagger: OriginTagger | None = None
        self._idle = IdleDirectories(self._open_client)
        self._listens = False
        self._told: queue.Queue[SessionNotice | None] = queue.Queue(BACKLOG)
        self._looks: list[float] = []
        """When to look through the sessions."""
        self._unwritten: dict[str, Session] = {}
        self._gone: set[str] = set()
        self._write_at = 0.0
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def know(self, spec: ConnectionSpec, directory: str | None) -> None:
        """Somebody uses the link by this connection, whose workdir is this absolute path there."""
        self._names.know(spec, directory)
        self._environment = environment_id(spec, os.environ)

    def resume(self, version: str) -> None:
        """There is a way to the daemon, which is of this version. Never blocks."""
        self._listens = not is_second(version)
        if self._tagger is None:
            self._tagger = OriginTagger(self._environment, self._names, self._open_client)
            self._start(self._tagger)
        self._tagger.keeps_metadata = keeps_metadata(version)
        self._wake.set()

    def _start(self, tagger: OriginTagger) -> None:
        for name, work in (("listener", self._listen), ("marker", self._act)):
            thread = threading.Thread(target=work, args=(tagger,), name=f"ocattach-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def expect(self) -> None:
        """A client of this link asks for a new session. Never blocks."""
        if self._tagger is not None:
            self._tagger.expect()

    def still(self) -> frozenset[str]:
        """Where sessions are known to do nothing; if nowhere, it is found out for who asks next. Never blocks."""
        if self._idle.is_due:
            with suppress(queue.Full):
                self._told.put_nowait(SessionNotice(STILL, None, has_origin=False))
        return self._idle.directories

    def end(self) -> None:
        """Tell the threads to end."""
        self._ended.set()
        self._wake.set()
        with suppress(queue.Full):  # it has enough to wake up for
            self._told.put_nowait(None)

    def join(self) -> None:
        """Wait until they have ended."""
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _open_client(self) -> DaemonClient:
        # A lost way is noticed when somebody uses it: who only listens shall not have the daemon started again.
        return self._connection.open_client(REQUEST_SECONDS, counts_as_loss=False)

    def _listen(self, tagger: OriginTagger) -> None:
        tries = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        while not self._ended.is_set():
            if not (self._listens and self._connection.is_up()):
                self._wake.wait()
                self._wake.clear()
                tries.reset()
                continue
            self._wake.clear()
            began = time.monotonic()
            try:
                read_events(
                    self._open_client(),
                    KINDS,
                    lambda event: self._hear(event, tagger),
                    silence=SILENCE_SECONDS,
                )
            except OcattachError as error:
                log.debug("not listening: %s", error)
            self._idle.hear_no_more()
            if time.monotonic() - began > SILENCE_SECONDS:
                tries.reset()
            self._wake.wait(next(tries))

    def _hear(self, event: Event, tagger: OriginTagger) -> bool:
        """Hand on what the daemon tells; whether to go on listening."""
        self._idle.hear(event)
        if event.kind == CONNECTED:
            tagger.hear(event)
        info = event.properties.get("info")
        session = tagger.read(info)
        if event.kind == CONNECTED or session is not None:
            self._pass_on(SessionNotice(event.kind, session, isinstance(info, dict) and has_origin(info)))
        return not self._ended.is_set()

    def _pass_on(self, told: SessionNotice) -> None:
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._told.put(told, timeout=1)
                return

    def _act(self, tagger: OriginTagger) -> None:
        with ExitStack() as opened:
            while not self._ended.is_set():
                with suppress(queue.Empty):
                    if told := self._told.get(timeout=self._patience(tagger.next_at)):
                        self._take(told, tagger)
                self._look_through_due(tagger)
                for session in tagger.mark_due(is_up=self._connection.is_up()):
                    self._unwritten[session.id] = session
                self._write_due(opened)

    def _patience(self, mark_at: float | None) -> float | None:
        """How long nothing is to be done unless something is told; None for ever."""
        write_at = self._write_at if self._unwritten or self._gone else None
        times = [at for at in (mark_at, *self._looks[:1], write_at) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _take(self, told: SessionNotice, tagger: OriginTagger) -> None:
        session = told.session
        if told.kind == STILL:
            self._look_whether_still()
        elif session is None:
            now = time.monotonic()
            self._looks = [now, now + SETTLED_SECONDS]
        elif told.kind == DELETED:
            self._unwritten.pop(session.id, None)
            self._gone.add(session.id)
        else:
            self._unwritten[session.id] = session
            if told.kind == CREATED or tagger.is_new(session):
                # Not every session is heard of by the event of its creation: see SETTLED_SECONDS.
                tagger.see_new(session, has_origin=told.has_origin)

    def _look_whether_still(self) -> None:
        if not self._idle.is_due:  # others have asked meanwhile
            return
        try:
            self._idle.snapshot()
        except OcattachError as error:
            log.info("it was not found out what sessions do: %s", error)

    def _look_through_due(self, tagger: OriginTagger) -> None:
        if not self._looks or self._looks[0] > time.monotonic():
            return
        self._looks.pop(0)
        try:
            for session in tagger.look_through():
                self._unwritten[session.id] = session
        except OcattachError as error:
            log.info("the sessions could not be looked through: %s", error)
            if self._connection.is_up():
                self._looks.append(time.monotonic() + LONGEST_PAUSE)

    def _write_due(self, opened: ExitStack) -> None:
        """Hand over for memory what is new."""
        sessions, gone = list(self._unwritten.values()), list(self._gone)
        if not (sessions or gone) or time.monotonic() < self._write_at:
            return
        self._write_at = time.monotonic() + WRITE_SECONDS
        self._unwritten, self._gone = {}, set()
        try:
            if self._memory is None:
                self._memory = self._open_memory()
                opened.callback(self._memory.close)
            self._memory.put(sessions, self._environment, time.time(), uri=self._names.uri)
            self._memory.forget(gone)
        except OcattachError as error:
            log.info("what sessions there are is not remembered: %s", error)
