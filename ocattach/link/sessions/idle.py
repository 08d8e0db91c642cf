"""The directories in which no session is at work, known from events: `--status` need not query the daemon for these."""

import threading
import time
from collections.abc import Callable

from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import DIRECTORIES
from ocattach.opencode.events import CONNECTED, STATUS, Event
from ocattach.opencode.snapshot import snapshot

PAUSE_SECONDS = 10.0
"""The shortest time between two queries, for daemons whose sessions work all the time."""


class IdleDirectories:
    """The directories that were idle at the last query, until an event may mean the beginning of work.

    Nothing is known of other directories: a session that waits or hangs since before the query sends no event.
    Events can be missing (see `opencode.events`), but not all those of a run, because a session that works is reported
    as updated again and again. Thread-safe.
    """

    def __init__(self, open_client: Callable[[], DaemonClient]) -> None:
        self._open_client = open_client
        self._lock = threading.Lock()
        self.directories: frozenset[str] = frozenset()
        """The idle directories, as paths of OpenCode. The daemon must be queried for all others."""
        self._is_listening = False
        self._changes = 0
        """The number of events that may mean the beginning of work."""
        self._query_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether a query may find more idle directories."""
        return self._is_listening and not self.directories and time.monotonic() >= self._query_at

    def receive(self, event: Event) -> None:
        """Take note of an event about a session, or of the first event of a stream."""
        status = event.properties.get("status")
        if event.kind == STATUS and isinstance(status, dict) and status.get("type") == "idle":
            return
        if event.kind == CONNECTED:
            self._query_at, self._is_listening = 0.0, True
        self._invalidate()

    def stop_listening(self) -> None:
        """Forget everything: the stream of events has ended."""
        self._is_listening = False
        self._invalidate()

    def _invalidate(self) -> None:
        with self._lock:
            self.directories = frozenset()
            self._changes += 1

    def query(self) -> None:
        """Query the daemon. Raises OcattachError."""
        self._query_at = time.monotonic() + PAUSE_SECONDS
        before = self._changes
        found = frozenset(
            directory
            for directory, sessions in snapshot(self._open_client(), [], more=DIRECTORIES).doing
            if directory and sessions is not None and not sessions
        )
        with self._lock:
            if self._changes == before:
                self.directories = found
