"""Exceptions at every call of our code that a thread makes."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import CO_GENERATOR
from itertools import cycle
from types import CodeType, FrameType
from typing import Any

SECRET = "hunter2"


class Unthought(BaseException):
    """An exception of nobody's."""


ODD: tuple[Callable[[], BaseException], ...] = (
    lambda: ValueError(f"cannot parse password={SECRET}"),
    lambda: RecursionError("maximum recursion depth exceeded"),
    MemoryError,
    lambda: UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "invalid start byte"),
    lambda: UnicodeEncodeError("utf-8", f"{SECRET}\udcff", 7, 8, "surrogates not allowed"),
    lambda: KeyError(SECRET),
    lambda: AssertionError(SECRET),
    lambda: SystemExit(SECRET),
    lambda: Unthought(SECRET),
)


@dataclass(slots=True)
class Calls:
    """The functions of ours that threads of a name have called, each once."""

    thread: str
    codes: dict[CodeType, None] = field(default_factory=dict)

    def note(self, frame: FrameType) -> None:
        """Take note of a call."""
        self.codes[frame.f_code] = None


def is_ours(frame: FrameType) -> bool:
    """Whether a call is one of ours: not of a library, a comprehension, or a module's own code.

    Generators are left out: CPython 3.11 closes one again whose beginning a profiler has ended. What they call counts.
    """
    code = frame.f_code
    is_generator = bool(code.co_flags & CO_GENERATOR)
    return "/ocattach/" in code.co_filename and not code.co_name.startswith("<") and not is_generator


@contextmanager
def observed(thread: str, act: Callable[[FrameType], None]) -> Iterator[None]:
    """Call `act` with each call of ours in threads of this name that begin meanwhile."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and threading.current_thread().name.startswith(thread) and is_ours(frame):
            act(frame)

    threading.setprofile(profile)
    try:
        yield
    finally:
        threading.setprofile(None)
        sys.setprofile(None)


def calls(thread: str, work: Callable[[], object], *, without: tuple[str, ...]) -> list[CodeType]:
    """The functions that threads of this name call as they work; without some, by their names."""
    found = Calls(thread)
    with observed(thread, found.note):
        work()
    return [code for code in found.codes if code.co_qualname not in without]


ODD_ONES = cycle(ODD)


@contextmanager
def injected(thread: str, code: CodeType, error: BaseException) -> Iterator[list[str]]:
    """Raise an exception at the first call of a function in a thread of this name; yields where it was raised."""
    raised: list[str] = []

    def act(frame: FrameType) -> None:
        if frame.f_code is code and not raised:
            raised.append(code.co_qualname)
            raise error

    with observed(thread, act):
        yield raised
