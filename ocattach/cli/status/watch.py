"""`ocattach --status --watch`: a table that is kept up to date and accepts keys."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ocattach.cli.commands.forward import is_port
from ocattach.cli.keys import Keyboard
from ocattach.cli.status.ports import forward_port, ports_line
from ocattach.cli.status.table import ASKING, Row, rows, table
from ocattach.cli.terminal import escape, is_dumb, screen_console
from ocattach.config.files.paths import state_directory
from ocattach.defects import FILE, as_error
from ocattach.link.client.foreground import end_link, stop_daemon
from ocattach.survey.status import Survey

KEY_SECONDS = 0.2
DRAW_SECONDS = 1.0
"""Longest interval between redraws, for the ages shown."""

STOP_SECONDS = 30
AROUND_ROWS = 8
"""Lines of the screen that are not rows: title, column titles and the lines below."""

KEYS = "↑↓ select   enter attach   d disconnect   s stop daemon   p ports   f forward   r refresh   q quit"


def watch(survey: Survey) -> int | None:
    """Show the survey until the user quits. Returns the index of the connection to attach to, or None.

    The terminal mode is restored in any case.
    """
    if is_dumb():
        watch_plainly(survey)
        return None
    console = screen_console(sys.stdout)
    try:
        with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
            return Watch(survey, console, live).run(keyboard.read_key)
    except (KeyboardInterrupt, EOFError):  # Ctrl-C quits like q; EOF: the terminal was closed
        return None


def watch_plainly(survey: Survey) -> None:
    """Print each row again when it changes, until Ctrl-C, on a terminal that can only print lines."""
    printed: dict[int, Row] = {}
    survey.ask()
    with suppress(KeyboardInterrupt):
        while True:
            survey.ask_due()
            for number, row in enumerate(rows(survey)):
                current = row._replace(known="")  # the age of the result changes all the time
                if row.state != ASKING and printed.get(number) != current:
                    printed[number] = current
                    click.echo("  ".join(filter(None, current[:-1])))
            survey.await_change(KEY_SECONDS)


class SilentForeground:
    """A foreground that shows nothing and answers no questions, since the table uses the screen."""

    def doing(self, text: str) -> None:
        """Show nothing."""

    def step(self, text: str) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Show nothing: the notice is also in the link's log."""

    def answer(self, text: str, *, secret: bool, confirm: bool) -> str | None:  # noqa: ARG002
        """Answer nothing."""
        return None


class Watch:
    """The screen and its keys."""

    def __init__(self, survey: Survey, console: Console, live: Live) -> None:
        self._survey, self._console, self._live = survey, console, live
        self._rows: list[Row] = []
        self._selected = 0
        self._first = 0
        """The first row on the screen."""

        self._stopping: int | None = None
        """The row whose daemon is stopped if the user confirms."""

        self._forwarding: tuple[int, str] | None = None
        """The row of which a port is forwarded, and the digits of the port typed so far."""

        self._message = ""
        self._drawn_at = 0.0
        self._dirty = threading.Event()

    def run(self, read_key: Callable[[float], str | None]) -> int | None:
        """Run until a key ends it. Returns the row to attach to, None to quit."""
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
            elif self._forwarding is not None:
                self._type_port(key, *self._forwarding)
            elif key == "q":
                return None
            elif key == "enter":
                return self._selected
            else:
                self._press(key)

    def _press(self, key: str) -> None:
        page = self._page()
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -page, "page-down": page}
        self._message = ""
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
        elif key == "p":
            self._list_ports(self._selected)
        elif key == "f" and self._may_touch(self._selected):
            self._type_port("", self._selected, "")

    def _move(self, number: int) -> None:
        self._selected = min(max(0, number), len(self._rows) - 1)

    def _may_touch(self, number: int) -> bool:
        entry = self._survey.entries[number]
        if entry.refusal is not None:
            self._message = f"{self._rows[number].name} is not approved. {entry.refusal.hint}"
        return entry.refusal is None

    def _disconnect(self, number: int) -> None:
        spec = self._survey.entries[number].spec
        name = self._rows[number].name
        if not self._may_touch(number):
            return
        if not spec.target.needs_link:
            self._message = f"{name} has no link: clients connect to its URL"
            return

        def end() -> str:
            ended = end_link(spec.link_key(os.environ), os.environ)
            return f"Disconnected {name}" if ended else f"{name} was not connected"

        self._do(end, number, f"Disconnecting {name} …")

    def _ask_to_stop(self, number: int) -> None:
        if self._may_touch(number):
            self._stopping = number
            self._message = (
                f"Stop the daemon of {self._rows[number].name} and its running sessions? Press y to stop"
            )

    def _confirm(self, key: str) -> None:
        number, self._stopping = self._stopping, None
        if number is None or key != "y":
            self._message = "Not stopped"
            return
        spec = self._survey.entries[number].spec
        name = self._rows[number].name

        def stop() -> str:
            pid = stop_daemon(spec, SilentForeground(), os.environ, force=False, timeout=STOP_SECONDS)
            return f"Stopped the daemon of {name} (pid {pid})" if pid else f"No daemon is running in {name}"

        self._do(stop, number, f"Stopping the daemon of {name} …")

    def _list_ports(self, number: int) -> None:
        spec, name = self._survey.entries[number].spec, self._rows[number].name
        if self._may_touch(number):
            self._do(lambda: ports_line(spec, name, SilentForeground()), number, f"Listing ports of {name} …")

    def _type_port(self, key: str, number: int, digits: str) -> None:
        """Take a key of the port's number, and forward the port at Enter. Other keys cancel."""
        spec, name = self._survey.entries[number].spec, self._rows[number].name
        self._forwarding, self._message = None, "Not forwarded"
        digits = digits[:-1] if key == "backspace" else digits + key * key.isdigit()
        if key == "enter" and is_port(digits):
            self._do(
                lambda: forward_port(spec, name, int(digits), SilentForeground(), self._show),
                number,
                f"Forwarding port {digits} of {name} …",
            )
        elif key in {"", "backspace"} or key.isdigit():
            self._forwarding = number, digits
            self._message = f"Port of {name} to forward, then Enter: {digits}"

    def _show(self, message: str) -> None:
        self._message = message
        self._dirty.set()

    def _do(self, what: Callable[[], str], number: int, doing: str) -> None:
        """Run an action in a thread and show its result below the table."""
        self._message = doing

        def run() -> None:
            try:
                self._message = what()
            except BaseException as failure:  # noqa: BLE001 - whatever it is, the table stays
                error = as_error(failure, state_directory(os.environ) / FILE)
                self._message = f"{error.message}. {error.hint}"
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
        return [line(about), line(hint, "dim"), line(escape(self._message), "yellow"), line(KEYS, "dim")]


def line(text: str, style: str = "") -> Text:
    """A line that is cut at the width of the screen."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
