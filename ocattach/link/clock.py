"""Detects that the machine slept, the process was stopped, or the clock was set."""

import time

JUMP = 2.0
"""Seconds by which a check may be late without a jump."""

BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that runs while the machine sleeps; the monotonic clock of Linux does not (clock_gettime(2))."""


class Clock:
    """Compares the clocks. `has_jumped` must be called at this interval, in seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._seen = self._now()

    def has_jumped(self) -> bool:
        """Return whether a clock has advanced by more than the interval since the last call, or gone back."""
        before, self._seen = self._seen, self._now()
        passed = [now - then for now, then in zip(self._seen, before, strict=True)]
        return max(passed) > self._interval + JUMP or min(passed) < -JUMP

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.monotonic(), time.clock_gettime(BOOT_TIME), time.time()
