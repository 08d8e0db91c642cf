"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], awaited: str, *, timeout: float = 30, interval: float = 0.01
) -> T:
    """The condition's first true answer; TimeoutError that names what was awaited.

    A condition that takes longer than the interval, as one that runs a command, is asked half of the time at most.
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
        time.sleep(max(interval, answered - asked))
