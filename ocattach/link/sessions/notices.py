"""Notices on the desktop: an agent waits for a person, has finished, or has failed."""

import heapq
import html
import itertools
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from ocattach.opencode.agent_events import AgentEvent, AgentEvents
from ocattach.printable import command_line, printable
from ocattach.programs import which

SETTLED_SECONDS = 1.0
"""What goes on by itself within this time is not reported."""

MOST = 100
"""How many notices may wait to be settled."""

SECONDS = 10.0
LONGEST = 200

WORDS = {"waiting": "waits for you", "idle": "has finished", "error": "has failed"}

log = logging.getLogger(__name__)


class Notice(NamedTuple):
    """What is shown."""

    environment: str
    title: str
    """The title of the session."""

    kind: str
    detail: str
    session: str

    def argv(self) -> list[str] | None:
        """Return the command that shows it on this desktop; None if there is none."""
        summary = f"{self.environment}: {self.title or self.session} {WORDS[self.kind]}"
        command = command_line("ocattach", "session", "open", self.session)
        body = "\n".join(filter(None, (shortened(self.detail), command)))
        return notice_command(shortened(summary), body)


def notice_command(summary: str, body: str, platform: str = sys.platform) -> list[str] | None:
    """Return the command that shows a notice; None if this machine has no program for it.

    Notification daemons take markup in the body (Desktop Notifications Specification 1.2), not in the summary.
    """
    if platform == "darwin":
        script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"
        return ["osascript", "-e", script, summary, body]
    if which("notify-send") is None:
        return None
    return ["notify-send", "--app-name=ocattach", "--", summary, html.escape(body, quote=False)]


def shortened(text: str) -> str:
    """Return a text as one line without control characters, and not too long."""
    return printable(" ".join(text.split()))[:LONGEST]


class Notices:
    """A subscriber of the feed. It has a thread while notices are due."""

    def __init__(self, kinds: Collection[str], show: Callable[[Notice], object] | None = None) -> None:
        self._kinds = kinds
        self._show = show or show_notice
        self._due: list[tuple[float, int, Notice, str]] = []
        """For each notice: when it is settled, a number, and what cancels it."""
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._waiting: dict[str, set[str]] = {}
        """The pending requests of root sessions that a notice was given for."""
        self._thread: threading.Thread | None = None

    def __call__(self, event: AgentEvent, agents: AgentEvents) -> None:
        """Plan the notice for an event, or cancel one. Never blocks."""
        kind, session = str(event["event"]), str(event.get("session", ""))
        root = agents.root_of(session)
        if kind in {"permission-asked", "question-asked"}:
            self._wait(root, event, agents)
        elif kind in {"permission-answered", "question-answered"}:
            self._cancel(str(event.get("id")))
            self._waiting.get(root, set()).discard(str(event.get("id")))
        elif kind == "session-end" and event["root"]:
            self._waiting.pop(root, None)
            reason = str(event.get("reason"))
            if reason in self._kinds:
                detail = str((event.get("error") or {}).get("message", ""))
                self._plan(self._notice(reason, root, event, agents, detail), cancelled_by=f"work {root}")
        elif kind == "prompt":
            self._cancel(f"work {root}")

    def _wait(self, root: str, event: AgentEvent, agents: AgentEvents) -> None:
        requests = self._waiting.setdefault(root, set())
        is_first = not requests
        requests.add(str(event["id"]))
        if is_first and "waiting" in self._kinds:
            notice = self._notice("waiting", root, event, agents, str(event.get("text", "")))
            self._plan(notice, cancelled_by=str(event["id"]))

    def _notice(self, kind: str, root: str, event: AgentEvent, agents: AgentEvents, detail: str) -> Notice:
        known = agents.sessions.get(root)
        title = known.title if known is not None else ""
        return Notice(str(event.get("environment", "")), title, kind, detail, root)

    def _plan(self, notice: Notice, *, cancelled_by: str) -> None:
        with self._changed:
            if len(self._due) < MOST:
                at = time.monotonic() + SETTLED_SECONDS
                heapq.heappush(self._due, (at, next(self._numbers), notice, cancelled_by))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ocattach-notices", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _cancel(self, what: str) -> None:
        with self._changed:
            self._due = [each for each in self._due if each[3] != what]
            heapq.heapify(self._due)

    def _work(self) -> None:
        while notice := self._next():
            try:
                self._show(notice)
            except Exception:
                log.exception("could not show a notice")

    def _next(self) -> Notice | None:
        """Wait for the next notice and return it; None, and the thread is to end, if nothing is due any more."""
        with self._changed:
            while self._due and (left := self._due[0][0] - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._due:
                return heapq.heappop(self._due)[2]
            self._thread = None
            return None


def show_notice(notice: Notice) -> None:
    """Show a notice on the desktop. Failures are logged."""
    argv: Sequence[Any] | None = notice.argv()
    if argv is None:
        log.warning("no notice is shown: there is no notify-send on this machine")
        return
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("could not show a notice: %s", error)
