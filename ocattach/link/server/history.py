"""What became of a link's connection, and when: for its log, for `-v` and for `--status`."""

import logging
import threading
import time
from collections import deque
from typing import Any

logger = logging.getLogger(__name__)

KEPT = 100
"""How many events are remembered; the log has more."""


class History:
    """The last events of a link, the newest last. Any thread may add one."""

    def __init__(self) -> None:
        self._events: deque[tuple[float, str]] = deque(maxlen=KEPT)
        self._news: list[str] = []
        self._lock = threading.Lock()

    def note(self, event: str) -> None:
        """Something happened that explains what the link does."""
        logger.info("%s", event)
        with self._lock:
            self._events.append((time.time(), event))

    def tell(self, event: str) -> None:
        """Something happened that whoever connects next should hear of."""
        self.note(event)
        self.announce(event)

    def announce(self, event: str) -> None:
        """Tell whoever connects next about something that is in the log already."""
        with self._lock:
            self._news = [*self._news, event][-KEPT:]

    def take_news(self) -> list[str]:
        """What nobody has been told yet."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def to_json(self) -> list[dict[str, Any]]:
        """The events, each with its time in seconds since the epoch."""
        with self._lock:
            return [{"time": when, "event": event} for when, event in self._events]
