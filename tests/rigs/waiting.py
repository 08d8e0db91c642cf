"""Waiting for a condition, never for a time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

LONGEST_PAUSE = 0.5


def wait_until(
    condition: Callable[[], T | None], awaited: str, *, timeout: float = 60, interval: float = 0.01
) -> T:
    """The condition's first true answer; TimeoutError that names what was awaited.

    A condition that takes long, as one that looks at every process, is evaluated less often, but not so seldom that
    what lasts a few seconds is missed.
    """
    deadline = time.monotonic() + timeout
    while True:
        asked = time.monotonic()
        answer = condition()
        if answer:
            return answer
        answered = time.monotonic()
        if answered > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {awaited}")
        time.sleep(max(interval, min(LONGEST_PAUSE, 4 * (answered - asked))))


@contextmanager
def later(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Act after so many seconds, in a thread, as a person would; at the end that has happened."""
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()
