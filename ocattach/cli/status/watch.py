"""`ocattach --status --watch`: the table stays, changes as things do, and takes keys."""

import os
import sys
import threading
import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ocattach.cli.keys import Keyboard
from ocattach.cli.status.table import Row, rows, table
from ocattach.cli.terminal import escape, screen_console
from ocattach.errors import OcattachError
from ocattach.link.client.foreground import end_link, stop_daemon
from ocattach.survey.status import Survey

KEY_SECONDS = 0.2
DRAW_SECONDS = 1.0
"""How often the screen is drawn at the least: ages grow."""

STOP_SECONDS = 30
AROUND_ROWS = 8
"""Lines of the screen that are not rows: title, head of the table, what is said below."""

KEYS = "↑↓ move   enter attach   d disconnect   s stop the daemon   r ask now   q quit"


def watch(survey: Survey) -> int | None:
    """Show the survey until the user leaves; the number of the connection to attach to, None for none.

    The terminal is as it was before when this returns, however it does.
    """
    console = screen_console(sys.stdout)
    try:
        with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
            return Watch(survey, console, live).run(keyboard.read_key)
    except (KeyboardInterrupt, EOFError):  # Ctrl-C leaves as q does; and the terminal may be gone
        return None


class Silent:
    """In the place of the person, who is looking at the table: nothing is asked."""

    def step(self, text: str) -> None:
        """Steps are not shown."""

    def notice(self, text: str) -> None:
        """What happened meanwhile is in the link's log."""

    def answer(self, text: str, *, secret: bool, confirm: bool) -> str | None:  # noqa: ARG002
        """Nobody answers."""
        return None


class Watch:
    """The screen, and what the keys do."""

    def __init__(self, survey: Survey, console: Console, live: Live) -> None:
        self._survey, self._console, self._live = survey, console, live
        self._rows: list[Row] = []
        self._selected = 0
        self._first = 0
        """The first row on the screen."""

        self._stopping: int | None = None
        """The row whose daemon is to be stopped once that is confirmed."""

        self._said = ""
        self._drawn_at = 0.0
        self._dirty = threading.Event()

    def run(self, read_key: Callable[[float], str | None]) -> int | None:
        """Go on until a key ends it: the row to attach to, None to leave."""
        self._survey.ask()
        while True:
            self._survey.ask_due()
            self._draw()
            key = read_key(KEY_SECONDS)
            if key is None:
                continue
            self._dirty.set()
            if self._stopping is not None:
                self._confirm(key)
            elif key == "q":
                return None
            elif key == "enter":
                return self._selected
            else:
                self._press(key)

    def _press(self, key: str) -> None:
        page = self._page()
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -page, "page-down": page}
        self._said = ""
        if key in moves:
            self._move(self._selected + moves[key])
        elif key in {"home", "g"}:
            self._move(0)
        elif key in {"end", "G"}:
            self._move(len(self._rows) - 1)
        elif key == "r":
            self._survey.ask()
        elif key == "d":
            self._disconnect(self._selected)
        elif key == "s":
            self._ask_to_stop(self._selected)

    def _move(self, number: int) -> None:
        self._selected = min(max(0, number), len(self._rows) - 1)

    def _may_touch(self, number: int) -> bool:
        entry = self._survey.entries[number]
        if entry.refusal is not None:
            self._said = f"{self._rows[number].name} is not approved. {entry.refusal.hint}"
        return entry.refusal is None

    def _disconnect(self, number: int) -> None:
        spec = self._survey.entries[number].spec
        name = self._rows[number].name
        if not self._may_touch(number):
            return
        if not spec.target.needs_link:
            self._said = f"{name} has no link: clients use its own URL"
            return

        def end() -> str:
            ended = end_link(spec.link_key(os.environ), os.environ)
            return f"Disconnected {name}" if ended else f"{name} was not connected"

        self._do(end, number, f"Disconnecting {name} …")

    def _ask_to_stop(self, number: int) -> None:
        if self._may_touch(number):
            self._stopping = number
            self._said = f"Stop the daemon of {self._rows[number].name}, and what it works on? y stops it"

    def _confirm(self, key: str) -> None:
        number, self._stopping = self._stopping, None
        if number is None or key != "y":
            self._said = "Not stopped"
            return
        spec = self._survey.entries[number].spec
        name = self._rows[number].name

        def stop() -> str:
            pid = stop_daemon(spec, Silent(), os.environ, force=False, timeout=STOP_SECONDS)
            return f"Stopped the daemon of {name} (pid {pid})" if pid else f"No daemon runs in {name}"

        self._do(stop, number, f"Stopping the daemon of {name} …")

    def _do(self, what: Callable[[], str], number: int, doing: str) -> None:
        """Do something that takes its time, beside the table; what came of it is said below."""
        self._said = doing

        def run() -> None:
            try:
                self._said = what()
            except OcattachError as error:
                self._said = f"{error.message}. {error.hint}"
            self._survey.ask([number])
            self._dirty.set()

        threading.Thread(target=run, name="ocattach-watch", daemon=True).start()

    def _page(self) -> int:
        return max(1, self._console.size.height - AROUND_ROWS)

    def _draw(self) -> None:
        fresh = rows(self._survey)
        now = time.monotonic()
        size = self._console.size
        if fresh == self._rows and not self._dirty.is_set() and now - self._drawn_at < DRAW_SECONDS:
            return
        self._dirty.clear()
        self._rows, self._drawn_at = fresh, now
        page = self._page()
        first = min(self._first, len(fresh) - page, self._selected)
        self._first = max(first, self._selected - page + 1, 0)
        visible = fresh[self._first : self._first + page]
        body = table(visible, width=size.width, selected=self._selected - self._first)
        self._live.update(Group(self._title(), Text(), body, Text(), *self._below()), refresh=True)

    def _title(self) -> Text:
        counts: dict[str, int] = {}
        for each in self._rows:
            counts[each.state] = counts.get(each.state, 0) + 1
        words = ", ".join(f"{count} {state}" for state, count in counts.items())
        more = len(self._rows) > self._page()
        where = f"   {self._selected + 1} of {len(self._rows)}" if more else ""
        return line(f"ocattach   {words}{where}", "bold")

    def _below(self) -> list[Text]:
        chosen = self._rows[self._selected]
        finding = self._survey.statuses()[self._selected]
        hint = escape(finding.hint.splitlines()[0]) if finding and finding.hint else ""
        about = "   ".join(filter(None, (chosen.target, chosen.reason)))
        return [line(about), line(hint, "dim"), line(escape(self._said), "yellow"), line(KEYS, "dim")]


def line(text: str, style: str = "") -> Text:
    """A line that is cut where the screen ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
