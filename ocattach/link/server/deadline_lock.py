"""One at a time: whoever brings an environment up, or looks whether it still stands."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ocattach.errors import TimedOutError


class DeadlineLock:
    """A lock that is waited for with a deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, timeout: float) -> Iterator[float]:
        """Hold it; gives what is left of the time, in seconds. Raises TimedOutError."""
        started = time.monotonic()
        if not self._lock.acquire(timeout=timeout):
            raise TimedOutError(
                f"Another ocattach has been connecting for {timeout:.0f} s",
                hint="Answer what it asks, or end it and connect again: ocattach --disconnect --all",
            )
        try:
            yield max(1.0, timeout - (time.monotonic() - started))
        finally:
            self._lock.release()
