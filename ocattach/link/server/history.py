"""The history of a link's connection, for its log, `-v` and `--status`."""

import logging
import threading
import time
from collections import deque
from typing import Any

logger = logging.getLogger(__name__)

KEPT = 100
"""The number of events that are kept; the log has more."""


class History:
    """The last events of a link, the latest last. Thread-safe."""

    def __init__(self, label: str = "") -> None:
        """`label` precedes each event in the log."""
        self._label = label
        self._events: deque[tuple[float, str]] = deque(maxlen=KEPT)
        self._news: list[str] = []
        self._lock = threading.Lock()

    def note(self, event: str) -> None:
        """Add an event, and log it."""
        logger.info("%s%s", self._label, event)
        with self._lock:
            self._events.append((time.time(), event))

    def report(self, event: str) -> None:
        """Add an event that the next command shows."""
        self.note(event)
        self.announce(event)

    def announce(self, event: str) -> None:
        """Show an event to the next command, without adding it."""
        with self._lock:
            self._news = [*self._news, event][-KEPT:]

    def take_news(self) -> list[str]:
        """Return the events that no command has shown yet."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def to_json(self) -> list[dict[str, Any]]:
        """Return the events, each with its time in seconds since the epoch."""
        with self._lock:
            return [{"time": when, "event": event} for when, event in self._events]
