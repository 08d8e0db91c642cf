"""`ocattach` without arguments on a terminal: choose a connection, the most recently used first."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ocattach.cli.amounts import ago
from ocattach.cli.columns import GAP, fitted, lines, width
from ocattach.cli.keys import Keyboard
from ocattach.cli.output import source
from ocattach.cli.terminal import escape, is_dumb, screen_console
from ocattach.config.resolver import ListedConnection, list_connections
from ocattach.errors import InterruptedByUserError

LOOK_SECONDS = 1.0
"""Interval between checks of the size of the terminal."""

AROUND = 4
"""Lines of the terminal that are not available for connections."""

MOST = 15
PAGE = 5
UNMARKED, MARKED = "  ", "> "
HELP = "type to filter · ↑ ↓ select · Enter attach · Esc quit"


def pick() -> str | None:
    """Show the picker and return the chosen name; None if there are no connections.

    Raises InterruptedByUserError if the user quits.
    """
    listed = list_connections(cwd=Path.cwd(), environ=os.environ).connections
    if not listed:
        return None
    ordered = sorted(listed, key=lambda each: (-(each.last_used or 0), each.spec.name or ""))
    if is_dumb():
        return pick_by_number(ordered)
    choice = ConnectionPicker(ordered)
    console = screen_console(sys.stderr)
    with (
        Keyboard() as keyboard,
        Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live,
    ):
        while choice.chosen is None:
            room = max(1, min(MOST, console.height - AROUND))
            live.update(choice.render(room=room, columns=console.width), refresh=True)
            if (key := keyboard.read_key(LOOK_SECONDS)) is not None:
                choice.press(key)
    return choice.chosen


def pick_by_number(listed: Sequence[ListedConnection]) -> str:
    """Print the connections with numbers and ask for one, on a terminal that can only print lines."""
    names = {str(number): each.spec.name or "" for number, each in enumerate(listed, 1)}
    rows = [(number, *cells(each)) for number, each in zip(names, listed, strict=True)]
    click.echo("\n".join(lines(rows)), err=True)
    try:
        chosen: str = click.prompt(
            "Attach to", type=click.Choice([*names.values(), *names]), show_choices=False, err=True
        )
    except click.Abort as error:
        raise InterruptedByUserError("No connection was chosen") from error
    return chosen if chosen in names.values() else names[chosen]


def cells(listed: ListedConnection) -> tuple[str, ...]:
    """Name, URI, last use and source, with control characters escaped."""
    spec = listed.spec
    place = spec.title().partition(" (")[2].removesuffix(")")
    texts = (
        spec.name or "",
        place,
        ago(listed.last_used),
        "" if spec.source.kind == "user" else source(spec),
    )
    return tuple(map(escape, texts))


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

    def render(self, *, room: int, columns: int) -> Group:
        """The screen: at most `room` connections, with the selected one among them."""
        fitting = self.fitting
        first = max(0, min(self._at - room // 2, len(fitting) - room))
        rows = [cells(each) for each in fitting[first : first + room]]
        table = Table.grid(padding=(0, GAP, 0, 0))
        widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
        fits = fitted(widths, columns - len(UNMARKED), foldable={1}, optional=(3, 2, 1))
        for column, natural in fits.items():
            table.add_column(no_wrap=True, overflow="ellipsis", width=natural + len(UNMARKED) * (not column))
        for number, row in enumerate(rows, first):
            is_marked = number == self._at
            name, *others = (row[column] for column in fits)
            marked = f"{MARKED if is_marked else UNMARKED}{name}"
            table.add_row(*map(Text, (marked, *others)), style="reverse" if is_marked else "")
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
