"""Which sessions a link marks with where they began, and when: new ones, each once, and none that is older than it."""

import heapq
import itertools
import logging
import os
import queue
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from ocattach.errors import OcattachError
from ocattach.link.clock import BOOT_TIME
from ocattach.link.sessions.names import UsedNames
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import Event
from ocattach.opencode.sessions import Choice, SessionClient
from ocattach.sessions.origin import Marker, has_origin
from ocattach.sessions.record import Session

EXPECTED_SECONDS = 10.0
"""How long after a client of this link has asked for a new session one that appears is that one."""

OTHERS_FIRST = (2.0, 4.0)
"""For how many seconds, at random, a session that was made elsewhere is left to the link whose client has made it.

Then it is anybody's, and of two links that come at the same moment both would write.
"""

TRIES = 3

MARGIN_MS = 60_000
"""How much of what was looked through before a gap is looked through again after it."""

log = logging.getLogger(__name__)


class OriginTagger:
    """Sees sessions come, and marks them. For one thread, but for `expect`."""

    def __init__(self, environment: str, names: UsedNames, open_client: Callable[[], DaemonClient]) -> None:
        self.keeps_metadata = False
        """Whether the daemon keeps what is written into sessions."""
        self._names = names
        self._marker = Marker(environment, names.origin)
        self._open_client = open_client
        self._began = time.clock_gettime(BOOT_TIME)
        self._since: float | None = None
        """From when on sessions are new, in milliseconds of the daemon's clock."""
        self._heard = (Event("", "", {}), self._began)
        self._looked_until = 0.0
        self._expected: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._seen: set[str] = set()
        """New ones that have been seen to."""
        self._due: list[tuple[float, int, str, int]] = []
        """When which session is to be marked, and how many tries it has had."""
        self._numbers = itertools.count()

    @property
    def next_at(self) -> float | None:
        """When `mark_due` has something to do, by the monotonic clock."""
        return self._due[0][0] if self._due else None

    def read(self, content: object) -> Session | None:
        """A session as the daemon tells it."""
        return self._marker.read(content)

    def expect(self) -> None:
        """A client of this link asks for a new session, which will be ours to mark. Never blocks."""
        self._expected.put(time.monotonic())

    def hear(self, first: Event) -> None:
        """The daemon is being listened to, and has told its first event just now."""
        self._heard = (first, time.clock_gettime(BOOT_TIME))

    def is_new(self, session: Session) -> bool:
        """Whether a session is younger than the link; not before the daemon's clock is known."""
        return self._since is not None and session.created >= self._since

    def see_new(self, session: Session, *, has_origin: bool) -> None:
        """A session is there that was not before."""
        if not session.is_root or session.id in self._seen:
            return
        self._seen.add(session.id)
        is_ours = self._was_expected()
        if not has_origin:
            self._plan(session.id, 0.0 if is_ours else random.uniform(*OTHERS_FIRST))  # noqa: S311 - see there

    def look_through(self) -> Iterator[Session]:
        """The sessions that were made or changed while nobody listened; the new ones are seen to."""
        from ocattach.opencode.tui.resumer import milliseconds  # noqa: PLC0415 - the open port has it by now

        client = self._open_client()
        (first, heard), asked = self._heard, time.clock_gettime(BOOT_TIME)
        date = milliseconds(client.health().date) or time.time() * 1000
        told_at = first.told_at(date - (asked - heard) * 1000)
        if self._since is None:
            self._since = told_at - (heard - self._began) * 1000
        self._names.know_others(os.environ)
        self._names.resolve(client.real_directory)
        start = max(self._since, self._looked_until - MARGIN_MS)
        for page in SessionClient(client).pages(Choice(roots=True, since=int(start))):
            for content in page.sessions:
                session = self.read(content)
                if session is None:
                    continue
                if self.is_new(session):
                    self.see_new(session, has_origin=has_origin(content))
                yield session
        self._looked_until = told_at

    def mark_due(self, *, is_up: bool) -> Iterator[Session]:
        """Mark the sessions whose time has come; those that were. Without a way they are found again with the next."""
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, session, tries = heapq.heappop(self._due)
            marked = None
            try:
                if is_up:
                    marked = self._marker.mark(SessionClient(self._open_client()), session)
            except OcattachError as error:
                log.info("%s does not say yet where it began: %s", session, error)
                tries += 1
                if tries < TRIES:
                    self._plan(session, 2.0**tries, tries)
            if not is_up or tries == TRIES:
                self._seen.discard(session)
            elif marked is not None:
                yield marked

    def _plan(self, session: str, seconds: float, tries: int = 0) -> None:
        if self.keeps_metadata:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), session, tries))

    def _was_expected(self) -> bool:
        """Whether a client of this link has asked for a session that has not appeared yet; it has now."""
        with suppress(queue.Empty):
            while True:
                if time.monotonic() - self._expected.get_nowait() < EXPECTED_SECONDS:
                    return True
        return False
