"""A lock with a deadline: one thread at a time connects or checks the connection."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ocattach.backoff import Deadline
from ocattach.errors import TimedOutError


@contextmanager
def taken(lock: threading.Lock, timeout: float) -> Iterator[float]:
    """Hold the lock. Yields the seconds that are left, at least 1. Raises TimedOutError at the deadline."""
    deadline = Deadline(timeout)
    if not lock.acquire(timeout=timeout):
        raise TimedOutError(
            f"Another ocattach has been connecting for {timeout:.0f} s",
            hint="Answer its question, or end it and connect again: ocattach --disconnect --all",
        )
    try:
        yield max(1.0, deadline.left)
    finally:
        lock.release()
