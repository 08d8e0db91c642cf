"""`ocattach` without arguments on a terminal: choose a connection, the most recently used first."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ocattach.cli.amounts import ago
from ocattach.cli.keys import Keyboard
from ocattach.cli.output import source
from ocattach.cli.terminal import escape, screen_console
from ocattach.config.resolver import ListedConnection, list_connections
from ocattach.errors import InterruptedByUserError

LOOK_SECONDS = 1.0
"""Interval between checks of the size of the terminal."""

AROUND = 4
"""Lines of the terminal that are not available for connections."""

MOST = 15
PAGE = 5
HELP = "type to filter · ↑ ↓ select · Enter attach · Esc quit"


def pick() -> str | None:
    """Show the picker and return the chosen name; None if there are no connections.

    Raises InterruptedByUserError if the user quits.
    """
    listed = list_connections(cwd=Path.cwd(), environ=os.environ).connections
    if not listed:
        return None
    choice = ConnectionPicker(sorted(listed, key=lambda each: (-(each.last_used or 0), each.spec.name or "")))
    console = screen_console(sys.stderr)
    with (
        Keyboard() as keyboard,
        Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live,
    ):
        while choice.chosen is None:
            live.update(choice.render(room=max(1, min(MOST, console.height - AROUND))), refresh=True)
            if (key := keyboard.read_key(LOOK_SECONDS)) is not None:
                choice.press(key)
    return choice.chosen


class ConnectionPicker:
    """The state of the picker: the typed filter and the selected connection."""

    def __init__(self, listed: Sequence[ListedConnection]) -> None:
        self.chosen: str | None = None
        self._listed = listed
        self._typed = ""
        self._at = 0

    @property
    def fitting(self) -> list[ListedConnection]:
        """The connections that contain every typed word; those with more of them in the name come first."""
        words = self._typed.lower().split()
        found = [each for each in self._listed if all(word in text_of(each) for word in words)]
        return sorted(found, key=lambda each: -sum(word in (each.spec.name or "").lower() for word in words))

    def press(self, key: str) -> None:
        """Handle a key. Raises InterruptedByUserError for keys that quit."""
        fitting = self.fitting
        if key in {"escape", "ctrl-d"} or (key == "q" and not self._typed):
            raise InterruptedByUserError("No connection was chosen")
        if key == "enter":
            self.chosen = fitting[self._at].spec.name if fitting else None
        elif key in MOVES:
            self._at = max(0, min(len(fitting) - 1, self._at + MOVES[key]))
        elif key == "backspace":
            self._type(self._typed[:-1])
        elif key == "ctrl-u":
            self._type("")
        elif len(key) == 1:
            self._type(self._typed + key)

    def _type(self, text: str) -> None:
        self._typed, self._at = text, 0

    def render(self, *, room: int) -> Group:
        """The screen: at most `room` connections, with the selected one among them."""
        fitting = self.fitting
        first = max(0, min(self._at - room // 2, len(fitting) - room))
        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(4):
            table.add_column(no_wrap=True, overflow="ellipsis")
        for number, each in enumerate(fitting[first : first + room], first):
            is_marked = number == self._at
            cells = (
                f"{'>' if is_marked else ' '} {each.spec.name}",
                each.spec.title().partition(" (")[2].removesuffix(")"),
                ago(each.last_used),
                "" if each.spec.source.kind == "user" else source(each.spec),
            )
            table.add_row(*(Text(escape(cell)) for cell in cells), style="reverse" if is_marked else "")
        counted = f"{len(fitting)} of {len(self._listed)}"
        none = Text("no connection matches", style="yellow")
        prompt = Text.assemble(
            ("Attach to: ", "bold"), escape(self._typed), ("▏", "dim"), (f"  {counted}", "dim")
        )
        return Group(
            prompt, table if fitting else none, Text(HELP, style="dim", no_wrap=True, overflow="ellipsis")
        )


MOVES = {
    "up": -1, "ctrl-p": -1, "ctrl-k": -1, "down": 1, "ctrl-n": 1, "tab": 1, "page-up": -PAGE, "page-down": PAGE,
    "home": -(10**6), "end": 10**6,
}  # fmt: skip


def text_of(listed: ListedConnection) -> str:
    """The text that the filter searches."""
    spec = listed.spec
    return f"{spec.name} {spec.display()} {spec.description}".lower()
