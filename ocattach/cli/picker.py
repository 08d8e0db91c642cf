"""Choose from a list on a terminal: type to filter, arrow keys, Enter."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ocattach.cli.columns import GAP, fitted, lines, width
from ocattach.cli.keys import Keyboard
from ocattach.cli.terminal import escape, is_dumb, screen_console
from ocattach.errors import InterruptedByUserError

LOOK_SECONDS = 1.0
AROUND = 4
"""Lines of the terminal that are not available for choices."""

MOST = 15
PAGE = 5
UNMARKED, MARKED = "  ", "> "
HELP = "type to filter · ↑ ↓ select · Enter choose · Esc quit"


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be chosen: a value, its cells, with control characters escaped, and the text that is searched."""

    value: str
    cells: tuple[str, ...]
    text: str


def pick(choices: Sequence[Choice], question: str) -> str:
    """Show the choices and return the value of the chosen one. Raises InterruptedByUserError if the user quits."""
    if is_dumb():
        return pick_by_number(choices, question)
    picker = Picker(choices, question)
    console = screen_console(sys.stderr)
    with (
        Keyboard() as keyboard,
        Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live,
    ):
        while picker.chosen is None:
            room = max(1, min(MOST, console.height - AROUND))
            live.update(picker.render(room=room, columns=console.width), refresh=True)
            if (key := keyboard.read_key(LOOK_SECONDS)) is not None:
                picker.press(key)
    return picker.chosen


def pick_by_number(choices: Sequence[Choice], question: str) -> str:
    """Print the choices with numbers and ask for one, on a terminal that can only print lines."""
    values = {str(number): each.value for number, each in enumerate(choices, 1)}
    rows = [(number, *each.cells) for number, each in zip(values, choices, strict=True)]
    click.echo("\n".join(lines(rows)), err=True)
    try:
        chosen: str = click.prompt(
            question, type=click.Choice([*values.values(), *values]), show_choices=False, err=True
        )
    except click.Abort as error:
        raise InterruptedByUserError("Nothing was chosen") from error
    return chosen if chosen in values.values() else values[chosen]


class Picker:
    """The state of the picker: the typed filter and the selected choice."""

    def __init__(self, choices: Sequence[Choice], question: str) -> None:
        self.chosen: str | None = None
        self._choices, self._question = choices, question
        self._typed = ""
        self._at = 0

    @property
    def fitting(self) -> list[Choice]:
        """The choices that contain every typed word; those with more of them in the first cell come first."""
        words = self._typed.lower().split()
        found = [each for each in self._choices if all(word in each.text.lower() for word in words)]
        return sorted(found, key=lambda each: -sum(word in each.cells[0].lower() for word in words))

    def press(self, key: str) -> None:
        """Handle a key. Raises InterruptedByUserError for keys that quit."""
        fitting = self.fitting
        if key in {"escape", "ctrl-d"} or (key == "q" and not self._typed):
            raise InterruptedByUserError("Nothing was chosen")
        if key == "enter":
            self.chosen = fitting[self._at].value if fitting else None
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
        """The screen: at most `room` choices, with the selected one among them."""
        fitting = self.fitting
        first = max(0, min(self._at - room // 2, len(fitting) - room))
        rows = [each.cells for each in fitting[first : first + room]]
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
        counted = f"{len(fitting)} of {len(self._choices)}"
        none = Text("nothing matches", style="yellow")
        prompt = Text.assemble(
            (f"{self._question}: ", "bold"), escape(self._typed), ("▏", "dim"), (f"  {counted}", "dim")
        )
        return Group(
            prompt, table if fitting else none, Text(HELP, style="dim", no_wrap=True, overflow="ellipsis")
        )


MOVES = {
    "up": -1, "ctrl-p": -1, "ctrl-k": -1, "down": 1, "ctrl-n": 1, "tab": 1, "page-up": -PAGE, "page-down": PAGE,
    "home": -(10**6), "end": 10**6,
}  # fmt: skip
