"""Runs the user's programs for events of agents, beside them: a hook never delays an agent, a TUI or another reader."""

import json
import logging
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ocattach.opencode.agent_events import AgentEvent, AgentEvents

WORKERS = 4
"""How many hooks run at once."""

END_SECONDS = 1.0

BACKLOG = 1000
"""How many events may wait for a hook; further ones are dropped, and logged."""

SECONDS = 30.0
"""How long a hook may run."""

LONGEST_OUTPUT = 500
"""Characters of a failed hook's messages that are logged."""

log = logging.getLogger(__name__)


class Hooks:
    """A subscriber of the feed. Its threads start with the first event that has a hook."""

    def __init__(self, commands: Mapping[str, Sequence[Sequence[str]]], *, seconds: float = SECONDS) -> None:
        """`commands` are argument lists by the type of event."""
        self._commands = commands
        self._seconds = seconds
        self._waiting: queue.Queue[tuple[Sequence[str], AgentEvent]] = queue.Queue(BACKLOG)
        self._threads: list[threading.Thread] = []

    def __call__(self, event: AgentEvent, _: AgentEvents) -> None:
        """Run the hooks of an event. Never blocks."""
        for argv in self._commands.get(str(event["event"]), ()):
            try:
                self._waiting.put_nowait((argv, event))
            except queue.Full:
                log.warning("hook %s was not run for %s: too many are waiting", argv[0], event["event"])
        if not self._threads and not self._waiting.empty():
            self._threads = [
                threading.Thread(target=self._work, name="ocattach-hook", daemon=True) for _ in range(WORKERS)
            ]
            for thread in self._threads:
                thread.start()

    def _work(self) -> None:
        while True:
            argv, event = self._waiting.get()
            try:
                run_hook(argv, event, seconds=self._seconds)
            except Exception:
                log.exception("hook %s failed", argv[0])


def run_hook(argv: Sequence[str], event: AgentEvent, *, seconds: float) -> None:
    """Run a program with an event as JSON on its stdin, without a shell. Failures are logged."""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        log.warning("hook %s cannot be run: %s", argv[0], error.strerror)
        return
    with process:
        try:
            _, stderr = process.communicate(json.dumps(event).encode() + b"\n", timeout=seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # a process that left its group keeps stderr open
                process.communicate(timeout=END_SECONDS)
            log.warning("hook %s was ended after %g s", argv[0], seconds)
            return
    if process.returncode:
        said = stderr.decode(errors="replace").strip()[-LONGEST_OUTPUT:]
        log.warning("hook %s failed with exit code %s: %s", argv[0], process.returncode, said)
