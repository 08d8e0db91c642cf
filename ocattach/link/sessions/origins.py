"""Writes the origin into new sessions, once each. Sessions that are older than the link are not changed."""

import heapq
import itertools
import logging
import os
import queue
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ocattach.errors import OcattachError, SessionNotFoundError
from ocattach.link.clock import BOOT_TIME
from ocattach.link.sessions.connections import UsedConnections
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import milliseconds
from ocattach.opencode.events import Event
from ocattach.opencode.sessions import SessionClient, SessionFilter
from ocattach.opencode.tui.seen import remember
from ocattach.sessions.origins import has_origin, origin_metadata
from ocattach.sessions.record import Session
from ocattach.untrusted_json import table

EXPECTED_SECONDS = 10.0
"""How long after a client's request for a new session a session that appears counts as this one."""

OTHERS_FIRST = (2.0, 4.0)
"""The range, in seconds, of the random delay before the origin is written into a session that another link's client
may have created: its own link writes at once, and two links that find it at the same moment do not both write."""

TRIES = 3

MOST_DUE, MOST_SEEN = 1000, 10_000
"""How many sessions may wait for their origin at once, and how many are remembered. Others are found by a list."""

MARGIN_MS = 60_000
"""How much of the time before a gap is listed again after it."""

log = logging.getLogger(__name__)


class OriginTagger:
    """Finds new sessions and writes their origin. For one thread, except `expect`."""

    def __init__(
        self, environment: str, connections: UsedConnections, open_client: Callable[[], DaemonClient]
    ) -> None:
        self.keeps_metadata = False
        """Whether the daemon stores the metadata of sessions."""
        self._environment = environment
        self._connections = connections
        self._open_client = open_client
        self._began = time.clock_gettime(BOOT_TIME)
        self._since: float | None = None
        """When sessions count as new, in milliseconds of the daemon's clock."""
        self._first_event = (Event("", "", {}), self._began)
        self._listed_until = 0.0
        self._expected: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._seen: dict[str, None] = {}
        """The latest new sessions that need no further attention."""
        self._due: list[tuple[float, int, str, int]] = []
        """For each session to write to: the time, a serial number, its id, and the number of tries so far."""
        self._numbers = itertools.count()

    @property
    def next_at(self) -> float | None:
        """When `tag_due` has something to do, by the monotonic clock."""
        return self._due[0][0] if self._due else None

    def read(self, content: Any) -> Session | None:
        """Read a session from the API. Without an origin of this environment it gets the one that would be written."""
        session = Session.from_api(content, environment=self._environment)
        if session is None or self._connections.has_name(session.origin):
            return session
        return replace(session, origin=self._connections.origin(session.directory), is_native=False)

    def expect(self) -> None:
        """Expect a new session, which a client of this link has requested. Never blocks."""
        self._expected.put(time.monotonic())

    def start_listening(self, first: Event) -> None:
        """Remember the first event of a stream, which arrived just now."""
        self._first_event = (first, time.clock_gettime(BOOT_TIME))

    def is_new(self, session: Session) -> bool:
        """Return whether a session is younger than the link; False before the daemon's clock is known."""
        return self._since is not None and session.created >= self._since

    def add(self, session: Session, *, has_origin: bool) -> None:
        """Plan to write the origin into a new session, unless it has one."""
        if not session.is_root or session.id in self._seen or len(self._due) >= MOST_DUE:
            return
        remember(self._seen, session.id, None, limit=MOST_SEEN)
        is_ours = self._was_expected()
        if not has_origin:
            self._plan(session.id, 0.0 if is_ours else random.uniform(*OTHERS_FIRST))  # noqa: S311 - see there

    def list_changed(self) -> Iterator[Session]:
        """Return the sessions that were created or changed since the last call, and `add` the new ones."""
        client = self._open_client()
        (first, received), asked = self._first_event, time.clock_gettime(BOOT_TIME)
        date = milliseconds(client.health().date) or time.time() * 1000
        sent_at = first.sent_at(date - (asked - received) * 1000)
        if self._since is None:
            self._since = sent_at - (received - self._began) * 1000
        self._connections.load_saved(os.environ)
        self._connections.resolve(client.real_directory)
        start = max(self._since, self._listed_until - MARGIN_MS)
        for page in SessionClient(client).pages(SessionFilter(roots=True, since=int(start))):
            for content in page.sessions:
                session = self.read(content)
                if session is None:
                    continue
                if self.is_new(session):
                    self.add(session, has_origin=has_origin(content))
                yield session
        self._listed_until = sent_at

    def tag_due(self, *, is_up: bool) -> Iterator[Session]:
        """Write the origins that are due, and return the changed sessions.

        Without a connection nothing is written: `list_changed` finds these sessions again.
        """
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, session, tries = heapq.heappop(self._due)
            changed = None
            try:
                if is_up:
                    changed = self._tag(SessionClient(self._open_client()), session)
            except OcattachError as error:
                log.info("Could not write the origin of %s: %s", session, error)
                tries += 1
                if tries < TRIES:
                    self._plan(session, 2.0**tries, tries)
            if not is_up or tries == TRIES:
                self._seen.pop(session, None)
            elif changed is not None:
                yield changed

    def _tag(self, client: SessionClient, session: str) -> Session | None:
        """Write the origin into a session, and keep its other metadata. Returns None if there was nothing to write.

        OpenCode replaces the metadata as a whole (1.18.33), so little time may pass between the two requests.
        """
        try:
            content = client.get(session)
            found = self.read(content)
            if found is None or not found.is_root or has_origin(content):
                return None
            metadata = origin_metadata(found.origin, self._environment)
            changed = client.patch_metadata(session, {**table(content.get("metadata")), **metadata})
        except SessionNotFoundError:  # deleted meanwhile
            return None
        return self.read(changed)

    def _plan(self, session: str, seconds: float, tries: int = 0) -> None:
        if self.keeps_metadata:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), session, tries))

    def _was_expected(self) -> bool:
        """Return whether a requested session has not appeared yet, and count this one as it."""
        with suppress(queue.Empty):
            while True:
                if time.monotonic() - self._expected.get_nowait() < EXPECTED_SECONDS:
                    return True
        return False
