"""Tables: laid out for the width of a terminal, or one line per row in a pipe."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import click

from ocattach.cli.columns import GAP, cut, fold, lines, width
from ocattach.cli.terminal import escape, has_colours, say, terminal_width

SHORTEST = 20
"""Width to which the column that may be cut is reduced before others are moved below their row."""

INDENT = 2

MOST_NAMED = 3
"""How many environments a notice names."""


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    below: Collection[str] = (),
    cuttable: str = "",
    colours: Sequence[str | None] = (),
    is_wide: bool = False,
) -> None:
    """Print rows with control characters escaped: as a table on a terminal, else and if it is wide as plain columns.

    On a terminal, the column `cuttable` is cut to fit. Where that is not enough, the columns of `below` are printed
    below each row, and the last of the others left out. `colours` are those of the rows.
    """
    cells = [titles, *([escape(cell).replace("\n", " ") for cell in row] for row in rows)]
    if is_wide or not sys.stdout.isatty():
        click.echo("\n".join(lines(cells)))
        return
    room = terminal_width(sys.stdout)
    widths = {
        title: max(map(width, column)) for title, column in zip(titles, zip(*cells, strict=True), strict=True)
    }
    excess = total(widths.values()) - room
    under: list[str] = []
    if cuttable and 0 < excess <= widths[cuttable] - SHORTEST:
        widths[cuttable] -= excess
    elif excess > 0:
        under = [title for title in titles if title in below]
        widths = kept_columns({title: widths[title] for title in titles if title not in below}, room)
    records = [dict(zip(titles, row, strict=True)) for row in cells]
    head, *body = lines([[cut(record[title], widths[title]) for title in widths] for record in records])
    is_coloured = has_colours(sys.stdout)
    click.echo(click.style(head, bold=True), color=is_coloured)
    for line, record, colour in zip_longest(body, records[1:], colours):
        click.echo(click.style(line, fg=colour), color=is_coloured)
        details = (" " * GAP).join(record[title] for title in under if record[title])
        for detail in fold(details, room - INDENT) if details else []:
            click.echo(click.style(" " * INDENT + detail, dim=True), color=is_coloured)


def kept_columns(widths: Mapping[str, int], room: int) -> dict[str, int]:
    """The columns that fit; the first one and the state are always there."""
    kept = dict(widths)
    for title in [title for title in [*kept][:0:-1] if title != "State"]:
        if total(kept.values()) > room:
            kept.pop(title)
    return kept


def total(widths: Collection[int]) -> int:
    """The width of a row with these columns."""
    return sum(widths) + GAP * (len(widths) - 1)


def say_missing(what: str, notices: Sequence[tuple[str, str]]) -> None:
    """Print which environments are missing from a result: of a single one why, of several only the short form."""
    if len(notices) > 1:
        named = ", ".join(sorted(short for short, _ in notices)[:MOST_NAMED])
        more = len(notices) - MOST_NAMED
        others = f" and {more} more" if more > 0 else ""
        notices = [("", f"{what}: {named}{others}. Reasons: ocattach --status")]
    for _, whole in notices:
        say_notice(f"! {whole}")


def say_notice(text: str) -> None:
    """Print a warning on stderr; on a terminal in yellow, and broken at spaces."""
    is_whole = not sys.stderr.isatty()
    for number, line in enumerate(
        [text] if is_whole else fold(escape(text), terminal_width(sys.stderr) - INDENT)
    ):
        say(" " * INDENT * bool(number) + line, colour="yellow")


def file_name(path: Path | None) -> str:
    """The path of a file: the shorter of relative and absolute on a terminal, absolute in a pipe."""
    whole = str(path)
    if path is None or not sys.stdout.isatty():
        return whole
    return min(whole, os.path.relpath(path), key=len)
