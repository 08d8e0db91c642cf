"""Ends what a test run leaves behind, also when the run itself is killed.

Daemons and links detach themselves: that is their job. But they inherit the environment, and so a mark in it.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.rigs.waiting import wait_until

MARK = "OCATTACH_TEST_RUN"


@contextmanager
def leash() -> Iterator[None]:
    """Mark all processes started from now on, and end them at the end."""
    mark = secrets.token_hex(8)
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.rigs.leash", mark],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    os.environ[MARK] = mark
    try:
        yield
    finally:
        del os.environ[MARK]
        watcher.communicate()


def marked_processes(mark: str) -> list[psutil.Process]:
    """The processes that carry the mark, wherever they have gone."""
    return _find(lambda environment: environment.get(MARK) == mark)


def end_processes_at(home: Path) -> None:
    """End what runs for a user whose home is there, or below."""
    _end_all(lambda environment: Path(environment.get("HOME", "/")).is_relative_to(home))


def _end_all(is_meant: Callable[[Mapping[str, str]], bool]) -> None:
    """Kill until nothing is left: a process may start another while it is looked for."""

    def none_is_left() -> bool:
        processes = [process for process in _find(is_meant) if process.pid != os.getpid()]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return not processes

    wait_until(none_is_left, "marked processes to end")


def _find(is_meant: Callable[[Mapping[str, str]], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if is_meant(process.environ()):
                found.append(process)
    return found


if __name__ == "__main__":
    sys.stdin.read()  # ends when the test process does, in whatever way
    _end_all(lambda environment: environment.get(MARK) == sys.argv[1])
