"""`ocattach --status --watch`: a table that is kept up to date and accepts keys."""

import sys
import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ocattach.cli.columns import fold
from ocattach.cli.keys import Keyboard
from ocattach.cli.status.actions import Actions
from ocattach.cli.status.details import RowSessions, View, details
from ocattach.cli.status.plain import watch_plainly
from ocattach.cli.status.table import Row, rows, summary, table
from ocattach.cli.terminal import escape, is_dumb, screen_console
from ocattach.opencode.pending import PendingRequest, Permission
from ocattach.survey.environment_status import ANSWERED, EnvironmentState, EnvironmentStatus
from ocattach.survey.status import Survey

KEY_SECONDS = 0.2
DRAW_SECONDS = 1.0
"""Longest interval between redraws, for the ages shown."""

AROUND = 8
"""Lines of the screen besides rows and details: title, column titles, target, hint, message, keys, two empty ones."""

MESSAGE_LINES = 3

KEYS = "↑↓ select  tab requests  enter attach  ? keys  q quit"
PERMISSION_KEYS = "o allow once  a always  x reject  enter open  ? keys"
QUESTION_KEYS = "1-9 answer  a type  x reject  enter open  ? keys"
HELP = (
    ("↑ ↓, j k", "select a row; also PgUp, PgDn, Home, End"),
    ("tab, shift-tab", "select what waits for you, in any row"),
    ("o", "permission: allow once"),
    ("a", "permission: allow always; question: type an answer"),
    ("1…9", "question: answer by number; several: 1,3"),
    ("x", "reject a permission or a question"),
    ("enter", "open the TUI, with the selected session; then return here"),
    ("p", "list the ports of a row"),
    ("f", "forward a port until you quit"),
    ("d", "disconnect"),
    ("s", "stop the daemon"),
    ("r", "refresh all rows"),
    ("q, esc", "quit"),
)


def watch(survey: Survey, selected: int | None) -> tuple[int, str | None] | None:
    """Show the survey until the user quits, which returns None, or opens a row: its number, and a session or None.

    `selected` is the number of the row that is selected first; None for the topmost, until a key is pressed.
    The terminal mode is restored in any case.
    """
    if is_dumb():
        watch_plainly(survey)
        return None
    console = screen_console(sys.stdout)
    try:
        with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
            return Watch(survey, console, live, selected).run(keyboard.read_key)
    except (KeyboardInterrupt, EOFError):  # Ctrl-C quits like q; EOF: the terminal was closed
        return None


class Watch:
    """The screen and its keys."""

    def __init__(self, survey: Survey, console: Console, live: Live, selected: int | None) -> None:
        self._survey, self._console, self._live = survey, console, live
        self._dirty = threading.Event()
        self._actions = Actions(survey, self._dirty.set)
        self._sessions = RowSessions(survey, self._dirty.set)
        self._rows: list[Row] = []
        self._statuses: list[EnvironmentStatus | None] = []
        self._order: list[int] = []
        """The rows as they are shown: those that wait for a person first."""
        self._is_untouched = selected is None
        """Whether the topmost row is selected, whichever that is."""
        self._selected = min(selected or 0, len(survey.entries) - 1)
        self._request: str | None = None
        """The id of the selected request. Only the user selects one: no other takes the place of an answered one."""
        self._is_whole = True
        """Whether the screen shows all of that request."""
        self._first = 0
        """The first row on the screen."""
        self._page = 1
        """Rows on the screen."""
        self._begun: dict[int, set[str]] = {}
        """By row, the requests of its last answer: others make the bell ring."""
        self._drawn_at = 0.0

    def run(self, read_key: Callable[[float], str | None]) -> tuple[int, str | None] | None:
        """Run until a key ends it. Returns what is to be opened, None to quit."""
        self._survey.ask()
        is_helping = False
        while True:
            self._survey.ask_due()
            self._draw(is_helping=is_helping)
            key = read_key(KEY_SECONDS)
            if key is None:
                continue
            self._dirty.set()
            self._is_untouched = False
            if is_helping:
                is_helping = False
            elif self._actions.mode is not None:
                self._actions.mode(key)
            elif key in {"q", "escape"}:
                return None
            elif key == "enter":
                return self._selected, self._session()
            elif key == "?":
                is_helping = True
            else:
                self._press(key)

    def _press(self, key: str) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -self._page, "page-down": self._page}
        moves |= dict.fromkeys(("home", "g"), -len(self._order)) | dict.fromkeys(
            ("end", "G"), len(self._order)
        )
        self._actions.message = ""
        if key in moves:
            self._move(self._order.index(self._selected) + moves[key])
        elif key in {"tab", "back-tab"}:
            self._select_request(1 if key == "tab" else -1)
        elif key == "r":
            self._survey.ask()
        elif key in {"o", "a", "x"} or key.isdigit():
            if chosen := self._chosen():
                self._actions.respond(key, self._selected, chosen, is_whole=self._is_whole)
            else:
                self._actions.message = "Select what waits for you first: press Tab"
        else:
            self._actions.press(key, self._selected)

    def _move(self, place: int) -> None:
        self._selected = self._order[min(max(0, place), len(self._order) - 1)]
        self._request = None

    def _select_request(self, step: int) -> None:
        """Select the next request, in the order of the rows; first one of this row or below."""
        found = [(number, each.id) for number in self._order for each in self._requests(number)]
        if not found:
            self._actions.message = "Nothing waits for you"
            return
        here = (self._selected, self._request)
        if here in found:
            place = found.index((here[0], str(here[1]))) + step
        else:
            below = self._order[self._order.index(self._selected) :]
            place = next((place for place, (number, _) in enumerate(found) if number in below), 0)
        self._selected, self._request = found[place % len(found)]

    def _requests(self, number: int) -> Sequence[PendingRequest]:
        """The requests of a row that have not been answered here."""
        status, sent = self._statuses[number], self._actions.sent
        return [each for each in status.requests if (number, each.id) not in sent] if status else ()

    def _chosen(self) -> PendingRequest | None:
        return next((each for each in self._requests(self._selected) if each.id == self._request), None)

    def _session(self) -> str | None:
        """The session of the selected request, or rather the one that created it, as the TUI's lists have it."""
        chosen = self._chosen()
        return self._sessions.root(chosen.session) if chosen else None

    def _draw(self, *, is_helping: bool) -> None:
        fresh, statuses = rows(self._survey), self._survey.statuses()
        now = time.monotonic()
        requests = [status and status.requests for status in statuses]
        if (
            fresh == self._rows
            and requests == [status and status.requests for status in self._statuses]
            and not self._dirty.is_set()
            and now - self._drawn_at < DRAW_SECONDS
        ):
            return
        self._dirty.clear()
        self._rows, self._statuses, self._drawn_at = fresh, statuses, now
        self._order = sorted(
            range(len(fresh)), key=lambda number: fresh[number].state != EnvironmentState.WAITING
        )
        if self._is_untouched:
            self._selected = self._order[0]
        self._ring()
        self._live.update(help_screen() if is_helping else self._screen(), refresh=True)

    def _ring(self) -> None:
        """Ring the terminal's bell if something has begun to wait since a row last answered."""
        is_new = False
        for number, status in enumerate(self._statuses):
            if status is not None and status.state in ANSWERED:
                now = {each.id for each in status.requests} | ({status.state} & {EnvironmentState.WAITING})
                is_new |= bool(now - self._begun.get(number, now))
                self._begun[number] = now
        self._actions.sent &= {(number, each) for number, begun in self._begun.items() for each in begun}
        if is_new:
            self._console.bell()

    def _screen(self) -> Group:
        size = self._console.size
        chosen = self._chosen()
        self._request = chosen.id if chosen else None
        message = fold(escape(self._actions.message), size.width)[:MESSAGE_LINES]
        view = self._view(size.width, size.height - AROUND + 1 - len(message))
        visible = [self._rows[number] for number in self._order[self._first : self._first + self._page]]
        body = table(visible, width=size.width, selected=self._order.index(self._selected) - self._first)
        return Group(
            self._title(),
            Text(),
            body,
            Text(),
            *self._about(),
            *view.lines,
            *(line(text, "yellow") for text in message),
            keys_for(chosen),
        )

    def _view(self, width: int, lines: int) -> View:
        """Lay out the page of rows and what is below it, on so many lines. Requests get at least half of them."""
        requests = self._requests(self._selected)
        status = self._statuses[self._selected]
        kept = max(0, lines // 2) if requests else 0
        self._page = max(1, min(len(self._rows), lines - kept))
        place = self._order.index(self._selected)
        self._first = max(min(self._first, len(self._rows) - self._page, place), place - self._page + 1, 0)
        sessions = self._sessions.of(self._selected, status)
        room = max(0, lines - self._page)
        view = details(status, requests, sessions, selected=self._request, width=width, room=room)
        self._is_whole = view.is_whole
        return View([*view.lines, *[Text()] * (room - len(view.lines))], view.is_whole)

    def _title(self) -> Text:
        counts: dict[str, int] = {}
        for each in self._rows:
            counts[each.state] = counts.get(each.state, 0) + 1
        words = summary(self._survey) or ", ".join(f"{count} {state}" for state, count in counts.items())
        place = self._order.index(self._selected) + 1
        where = f"   {place} of {len(self._rows)}" if len(self._rows) > self._page else ""
        return line(f"ocattach   {words}{where}", "bold")

    def _about(self) -> list[Text]:
        """The target and state of the selected row, and what to do about it."""
        chosen, status = self._rows[self._selected], self._statuses[self._selected]
        hint = escape(status.hint.splitlines()[0]) if status and status.hint else ""
        return [line("   ".join(filter(None, (chosen.target, chosen.reason)))), line(hint, "dim")]


def keys_for(chosen: PendingRequest | None) -> Text:
    """The most important keys, by the selected request."""
    if chosen is None:
        return line(KEYS, "dim")
    return line(PERMISSION_KEYS if isinstance(chosen, Permission) else QUESTION_KEYS, "dim")


def help_screen() -> Group:
    """The keys and what they do."""
    keys = (line(f"  {key:<16}{what}") for key, what in HELP)
    return Group(
        line("ocattach --status --watch", "bold"), Text(), *keys, Text(), line("Press any key", "dim")
    )


def line(text: str, style: str = "") -> Text:
    """A line that is cut at the width of the screen."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
