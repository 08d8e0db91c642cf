"""The latest events of agents, kept for the readers of a link."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

MOST, MOST_BYTES = 10_000, 4 * 1024 * 1024
"""How many events are kept, and how many bytes of them."""


BATCH = 50
"""How many events a reader takes at once."""


class EventLog:
    """Events as lines of JSON, numbered from 0. Thread-safe. Its size is bounded, whatever readers do."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._end = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._readers = 0
        self.last_read = 0
        """The number after the last event that any reader has received."""

    @property
    def has_readers(self) -> bool:
        """Whether there is a reader at this time."""
        return bool(self._readers)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count as a reader."""
        with self._changed:
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1

    @property
    def is_closed(self) -> bool:
        """Whether there will be no further event."""
        return self._closed.is_set()

    @property
    def end(self) -> int:
        """The number of the next event."""
        return self._end

    def append(self, line: bytes) -> None:
        """Add an event, and drop the oldest ones beyond the bounds."""
        with self._changed:
            self._lines.append(line)
            self._size += len(line)
            self._end += 1
            while len(self._lines) > self._most or (self._size > self._most_bytes and len(self._lines) > 1):
                self._size -= len(self._lines.popleft())
            self._changed.notify_all()

    def read(self, position: int, timeout: float) -> tuple[list[bytes], int]:
        """Return the next events from a number on, and how many were dropped before them. Waits for the first one."""
        with self._changed:
            if position >= self._end and not self.is_closed:
                self._changed.wait(timeout)
            first = self._end - len(self._lines)
            start = max(position, first)
            end = min(self._end, start + BATCH)
            return [self._lines[number - first] for number in range(start, end)], start - position

    def pause(self, seconds: float) -> None:
        """Wait, or until the log is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Wake all readers; there will be no further event."""
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
