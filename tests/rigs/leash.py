"""Ends what a test run leaves behind, also when the run itself is killed.

Daemons and links detach themselves: that is their job. But they inherit the environment, and so a mark in it.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MARK = "OCATTACH_TEST_RUN"
PASSES = 20


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
    return [process for process in psutil.process_iter() if _carries(process, mark)]


def end_all(mark: str) -> None:
    """Kill until nothing is left: a process may start another while it is looked for."""
    for _ in range(PASSES):
        processes = [process for process in marked_processes(mark) if process.pid != os.getpid()]
        if not processes:
            return
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=1)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


if __name__ == "__main__":
    sys.stdin.read()  # ends when the test process does, in whatever way
    end_all(sys.argv[1])
