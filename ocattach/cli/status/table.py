"""The table of --status: in colour and updated on a terminal, plain columns in a pipe."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ocattach.cli.amounts import money
from ocattach.cli.columns import GAP, fitted, lines
from ocattach.cli.terminal import escape
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
WIDE_TITLES = {"Cost", "Target"}
WIDE = 130
"""Width of a terminal, in columns, that has room for these."""

LONGEST = 40
"""Width of a name or target on a terminal, in columns; longer ones are cut."""

OPTIONAL = ("Port", "Version", "Link", "Known", "Sessions")
"""The columns that a narrow terminal lacks, the first to go first."""

ASKING = "checking…"
UNITS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))
FRESH_SECONDS = 10
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

    def cells(self, *, wide: bool) -> tuple[str, ...]:
        """The cells, with or without the columns of a wide table."""
        pairs = zip(TITLES, self, strict=False)
        return tuple(cell for title, cell in pairs if wide or title not in WIDE_TITLES)


TITLES = tuple(field.capitalize() for field in Row._fields[:-1])


def rows(survey: Survey) -> list[Row]:
    """A row for each connection, with its current result."""
    found = zip(survey.entries, survey.statuses(), strict=True)
    return [row(entry.spec.name or "", entry.spec.display(), finding) for entry, finding in found]


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
    click.echo("\n".join(lines([TITLES, *(each.cells(wide=True) for each in rows(survey))])))


def table(shown: Sequence[Row], *, width: int, selected: int | None = None) -> Table:
    """The rows as a rich table.

    With a row `selected`, as --watch has it, each row has one line; --watch prints the full reason below.
    """
    is_wide, is_watched = width >= WIDE, selected is not None
    titles = [title for title in TITLES if is_wide or title not in WIDE_TITLES]
    cells = [titles, *(each.cells(wide=is_wide) for each in shown)]
    widths = [max(cell_len(line[column]) for line in cells) for column in range(len(titles))]
    widths[:-1] = [min(LONGEST, natural) for natural in widths[:-1]]
    reason = len(titles) - 1
    optional = [titles.index(title) for title in OPTIONAL]
    order = [reason, *optional] if is_watched else [*optional, reason]
    fitting = fitted(widths, width, foldable={reason}, optional=order)
    is_merged = reason not in fitting and not is_watched
    if is_merged:  # into the column State
        name_room = min(widths[0], width // 2)
        fitting = {0: name_room, 1: width - name_room - GAP}
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for column, room in fitting.items():
        is_folded = not is_watched and (column == reason or is_merged)
        made.add_column(
            titles[column],
            overflow="fold" if is_folded else "ellipsis",
            no_wrap=not is_folded,
            width=room,
            justify="right" if titles[column] == "Port" else "left",
        )
    for number, each in enumerate(shown):
        line = each.cells(wide=is_wide)
        name, state, *others = (Text(line[column]) for column in fitting)
        state.stylize(each.style)
        if is_merged and each.reason:
            state.append(f"\n{each.reason}", style="default")
        made.add_row(name, state, *others, style="reverse" if number == selected else "")
    return made


@contextmanager
def shown(survey: Survey) -> Iterator[Callable[[], None]]:
    """Show the table on the terminal; yields a function that redraws it. The last state stays on the screen."""
    console = Console(highlight=False)

    def draw() -> Table:
        return table(rows(survey), width=console.width)

    with Live(draw(), console=console, auto_refresh=False) as live:
        yield lambda: live.update(draw(), refresh=True)
        live.update(draw(), refresh=True)
