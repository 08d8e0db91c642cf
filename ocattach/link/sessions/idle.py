"""Where a daemon's sessions do nothing: known from its events, so that not everybody who asks has to ask it."""

import threading
import time
from collections.abc import Callable

from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import DIRECTORIES
from ocattach.opencode.events import CONNECTED, Event
from ocattach.opencode.snapshot import snapshot

STATUS = "session.status"
"""Told with {"sessionID", "status": {"type"}} as a session begins to work, tries again, and is idle (1.18.33)."""

PAUSE_SECONDS = 10.0
"""How long after a look none is made: daemons at work are not to be asked twice by whoever goes on listing."""


class IdleDirectories:
    """The directories in which a look has found nothing at work, until anything is told that could be work's beginning.

    Of the others nothing is known: what waits or hangs there since before the look tells of itself by no event.
    Events can be missing (see `opencode.events`), but not all of a run: each session that works is told again and again
    as updated. For any thread.
    """

    def __init__(self, open_client: Callable[[], DaemonClient]) -> None:
        self._open_client = open_client
        self._lock = threading.Lock()
        self._directories: frozenset[str] = frozenset()
        self._listens = False
        self._told = 0
        """How often something was told that may be the beginning of work."""
        self._look_at = 0.0

    @property
    def directories(self) -> frozenset[str]:
        """Where nothing is done, as OpenCode has their paths; of all others the daemon has to be asked."""
        return self._directories

    @property
    def is_due(self) -> bool:
        """Whether a look may tell more than is known."""
        return self._listens and not self._directories and time.monotonic() >= self._look_at

    def hear(self, event: Event) -> None:
        """Something was told about a session, or listening has just begun."""
        status = event.properties.get("status")
        if event.kind == STATUS and isinstance(status, dict) and status.get("type") == "idle":
            return
        if event.kind == CONNECTED:
            self._look_at, self._listens = 0.0, True
        self._doubt()

    def hear_no_more(self) -> None:
        """Nobody listens until the next event that says so."""
        self._listens = False
        self._doubt()

    def _doubt(self) -> None:
        with self._lock:
            self._directories = frozenset()
            self._told += 1

    def snapshot(self) -> None:
        """Ask the daemon. Raises OcattachError."""
        self._look_at = time.monotonic() + PAUSE_SECONDS
        before = self._told
        looked = snapshot(self._open_client(), [], more=DIRECTORIES)
        found = frozenset(
            directory
            for directory, sessions in looked.doing
            if directory and sessions is not None and not sessions
        )
        with self._lock:
            if self._told == before:
                self._directories = found
