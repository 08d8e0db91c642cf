"""Notices that time has passed unseen: the machine slept, the process was stopped, or the clock was set."""

import time

JUMP = 2.0
"""Seconds by which a look may come late without meaning anything."""

BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, which the monotonic clock of Linux does not (clock_gettime(2))."""


class Clock:
    """To be looked at every so many seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._seen = self._now()

    def has_jumped(self) -> bool:
        """Whether any clock has gone another way since the last look than the interval explains."""
        before, self._seen = self._seen, self._now()
        passed = [now - then for now, then in zip(self._seen, before, strict=True)]
        return max(passed) > self._interval + JUMP or min(passed) < -JUMP

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.monotonic(), time.clock_gettime(BOOT_TIME), time.time()
