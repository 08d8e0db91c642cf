"""The table of --status: in colour and updated on a terminal, plain columns in a pipe."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ocattach.cli.amounts import money
from ocattach.cli.columns import GAP, cut, fitted, lines
from ocattach.cli.picker import MARKED, UNMARKED
from ocattach.cli.terminal import escape, screen_console
from ocattach.opencode.activity import Activity
from ocattach.sessions.index.rows import LastStatus
from ocattach.survey.environment_status import EnvironmentState, EnvironmentStatus
from ocattach.survey.status import Survey

STYLES = {
    EnvironmentState.WAITING: "bold yellow",
    EnvironmentState.RUNNING: "green",
    EnvironmentState.BUSY: "bold cyan",
    EnvironmentState.STOPPED: "dim",
    EnvironmentState.UNAVAILABLE: "yellow",
    EnvironmentState.UNREACHABLE: "red",
    EnvironmentState.UNTRUSTED: "magenta",
    EnvironmentState.LOCKED: "magenta",
}
LONGEST = 40
"""Width of a target on a terminal, in columns; longer ones are cut. Names and states are not."""

OPTIONAL = ("Cost", "Target", "Port", "Version", "Link", "Known", "Sessions")
"""The columns that a narrow terminal lacks, the first to go first."""

ASKING = "checking…"
UNITS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))
SAYS_NOTHING = {"", "now", "now, link", "not checked"}
"""Cells that leave out a column if it has no others; other columns say that there is a link, or no approval."""

FRESH_SECONDS = 30
"""Results younger than this are shown as "now"."""


class Row(NamedTuple):
    """The cells of a connection, and last the style of its state."""

    name: str
    state: str
    version: str = ""
    port: str = ""
    sessions: str = ""
    link: str = ""
    known: str = ""
    cost: str = ""
    target: str = ""
    reason: str = ""
    style: str = "dim"

    def cell(self, title: str) -> str:
        """The text of a column."""
        return str(getattr(self, title.lower()))


TITLES = tuple(field.capitalize() for field in Row._fields[:-1])
KEPT = ("Name", "State")
"""The columns that are always there and never shortened."""


def rows(survey: Survey, *, is_whole: bool = False) -> list[Row]:
    """A row for each connection, with its current result; with the address of its engine if it is to be whole."""
    specs = [entry.spec for entry in survey.entries]
    targets = [spec.display() if is_whole else spec.place() for spec in specs]
    found = zip(specs, targets, survey.statuses(), strict=True)
    return [row(spec.name or "", target, finding) for spec, target, finding in found]


def row(name: str, target: str, finding: EnvironmentStatus | None) -> Row:
    """The row of a connection, with control characters escaped."""
    name, target = escape(name or target), escape(target)
    if finding is None:
        return Row(name, ASKING, target=target)
    cost = finding.sessions.cost if finding.sessions else 0
    return Row(
        name=name,
        state=finding.state,
        version=escape(finding.version or ""),
        port=str(finding.port or ""),
        sessions=session_words(finding),
        link=link_words(finding.link),
        known=known_words(finding),
        cost=money(cost),
        target=target,
        reason=reason(finding),
        style=STYLES[finding.state],
    )


def session_words(finding: EnvironmentStatus) -> str:
    """The number of sessions, and of those in each state."""
    words = []
    if finding.sessions is not None:
        count = finding.sessions.count
        words.append(f"{count}{'' if finding.sessions.is_whole else '+'} session{'s' if count != 1 else ''}")
    words += [f"{count} {activity}" for activity, count in sorted((finding.doing or {}).items())]
    return ", ".join(words)


def link_words(link: Mapping[str, Any] | None) -> str:
    """The state of a link with its clients and held requests."""
    if link is None:
        return ""
    clients = f", {link['clients']} client{'s' if link['clients'] != 1 else ''}" if link["clients"] else ""
    held = f", {link['held']} held" if link["held"] else ""
    return f"{link['state']}{clients}{held}"


def known_words(finding: EnvironmentStatus) -> str:
    """The age of the result, and whether it came through the link."""
    if finding.state is EnvironmentState.UNTRUSTED:
        return "not checked"
    age = time.time() - finding.asked
    words = "now" if age < FRESH_SECONDS else f"{duration(age)} ago"
    return f"{words}, link" if finding.through == "link" else words


def reason(finding: EnvironmentStatus) -> str:
    """Why the environment is not running, with its last known state."""
    lines_of_reason = finding.reason.strip().splitlines() or [""]
    words = escape(lines_of_reason[0])
    return f"{words} ({was(finding.last_known)})" if finding.last_known else words


def was(known: LastStatus) -> str:
    """The last known state with its age."""
    version = f" {known.version}" if known.version else ""
    return escape(f"last seen {known.state}{version}, {duration(time.time() - known.asked)} ago")


def duration(seconds: float) -> str:
    """A time span in its largest unit."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{max(0, seconds) // size:.0f} {unit}"


def print_columns(survey: Survey) -> None:
    """Print the rows as plain columns."""
    found = by_need(rows(survey, is_whole=True))
    click.echo("\n".join(lines([TITLES, *(each[: len(TITLES)] for each in found)])))


def by_need(rows: Sequence[Row]) -> list[Row]:
    """The rows, with what waits for a person first."""
    return sorted(rows, key=lambda row: row.state != EnvironmentState.WAITING)


def summary(survey: Survey) -> str:
    """How many sessions wait or are busy, and how many environments do not answer: "2 waiting for you · 1 busy"."""
    found = [status for status in survey.statuses() if status is not None]
    doing: Counter[str] = Counter()
    for status in found:
        doing.update({str(activity): count for activity, count in (status.doing or {}).items()})
    silent = sum(status.state is EnvironmentState.UNREACHABLE for status in found)
    counts = {
        "waiting for you": doing[Activity.WAITING],
        "retrying": doing[Activity.RETRYING],
        "busy": doing[Activity.BUSY],
        "unreachable": silent,
    }
    return " · ".join(f"{count} {what}" for what, count in counts.items() if count)


def layout(rows: Sequence[Row], *, width: int, titles: Sequence[str]) -> dict[str, int]:
    """Those of the columns that fit a terminal of this width, with their widths."""
    widths = [max(map(cell_len, (title, *(row.cell(title) for row in rows)))) for title in titles]
    natural = [
        min(LONGEST, room) if title == "Target" else room for title, room in zip(titles, widths, strict=True)
    ]
    optional = [titles.index(title) for title in OPTIONAL if title in titles]
    reasons = [number for number, title in enumerate(titles) if title == "Reason"]
    fits = fitted(natural, width, foldable=reasons, optional=[*reasons, *optional])
    return {titles[number]: room for number, room in fits.items()}


def listing(rows: Sequence[Row], *, width: int) -> Group:
    """The rows for a terminal: those that wait first, without columns that say nothing, each reason below its row."""
    ordered = by_need(rows)
    titles = [
        title
        for title in TITLES[:-1]
        if title in KEPT or any(row.cell(title) not in SAYS_NOTHING for row in rows)
    ]
    columns = layout(ordered, width=width, titles=titles)
    for title in KEPT:  # a line that is too long for the terminal is wrapped
        columns[title] = max(map(cell_len, (title, *(row.cell(title) for row in rows))))
    head = (" " * GAP).join(padded(title, title, columns) for title in columns).rstrip()
    lines: list[Text | Padding] = [Text(head, style="bold")]
    for row in ordered:
        cells = [
            (padded(title, row.cell(title), columns), row.style if title == "State" else "")
            for title in columns
        ]
        line = Text(overflow="fold")
        for number, (cell, style) in enumerate(cells):
            line.append(" " * GAP * bool(number)).append(cell, style=style)
        line.rstrip()
        lines.append(line)
        if row.reason:
            below = Text(row.reason, style="dim", overflow="fold")
            lines.append(Padding(below, (0, 0, 0, GAP), expand=False))
    return Group(*lines)


def padded(title: str, text: str, columns: Mapping[str, int]) -> str:
    """A cell as wide as its column."""
    text = cut(text, columns[title])
    space = " " * (columns[title] - cell_len(text))
    return space + text if title == "Port" else text + space


def table(rows: Sequence[Row], *, width: int, selected: int) -> Table:
    """The rows as --watch shows them: one line each, one of them marked; it shows the whole reason of that below."""
    columns = layout(rows, width=width - len(MARKED), titles=TITLES)
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for number, (title, room) in enumerate(columns.items()):
        made.add_column(
            title if number else f"{UNMARKED}{title}",
            overflow="ellipsis",
            no_wrap=True,
            width=room if number else room + len(MARKED),
            justify="right" if title == "Port" else "left",
        )
    for number, row in enumerate(rows):
        is_marked = number == selected
        first, *others = (Text(row.cell(title), style=row.style * (title == "State")) for title in columns)
        marked = Text.assemble(MARKED if is_marked else UNMARKED, first)
        made.add_row(marked, *others, style="reverse" if is_marked else "")
    return made


@contextmanager
def shown(survey: Survey) -> Iterator[Callable[[], None]]:
    """Show the table on the terminal; yields a function that redraws it. The last state stays on the screen."""
    console = screen_console(sys.stdout)

    def draw() -> Group:
        counted = [Text(words, style="bold")] if survey.is_done and (words := summary(survey)) else []
        return Group(*counted, listing(rows(survey), width=console.width))

    with Live(draw(), console=console, auto_refresh=False) as live:
        yield lambda: live.update(draw(), refresh=True)
        live.update(draw(), refresh=True)
