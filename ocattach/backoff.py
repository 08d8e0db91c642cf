"""Pauses between tries, the pace of events, and deadlines."""

import time


class Backoff:
    """An endless iterator of the seconds to wait before each further try.

    Each pause is `growth` times the one before, up to `longest`. `jitter` is the share of a pause, from 0 to 1, that
    is left out at random, so that many clients do not try at the same moment.
    """

    def __init__(self, *, first: float, longest: float, growth: float = 2.0, jitter: float = 0.0) -> None:
        self._first, self._longest = first, longest
        self._growth, self._jitter = growth, jitter
        self._next = first

    def __iter__(self) -> "Backoff":
        return self

    def __next__(self) -> float:
        import random  # noqa: PLC0415 - slow to load, and the command line needs deadlines only

        pause = min(self._next, self._longest)
        self._next = min(pause * self._growth, self._longest)
        return pause * random.uniform(1.0 - self._jitter, 1.0)  # noqa: S311 - not for cryptography

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._next = self._first


class Pace:
    """Limits how often something happens in a second, by the monotonic clock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second, self._count = 0.0, 0

    def seconds_to_wait(self) -> float:
        """Count an event, and return how long to wait after it."""
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._count = now, 0
        self._count += 1
        return self._second + 1 - now if self._count > self._most else 0.0


class Deadline:
    """A point in time, some seconds from its creation, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._end - time.monotonic())

    @property
    def has_passed(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0

    def postpone(self, seconds: float) -> None:
        """Move the deadline by so many seconds."""
        self._end += seconds
