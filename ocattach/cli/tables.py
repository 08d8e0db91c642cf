"""Tables: laid out for the width of a terminal, or one line per row in a pipe."""

import os
import sys
from collections.abc import Collection, Sequence
from itertools import zip_longest
from pathlib import Path

import click

from ocattach.cli.columns import ALWAYS, fitted, fold, lines, width
from ocattach.cli.terminal import escape, has_colours, terminal_width


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    foldable: Collection[str] = (),
    is_wide: bool = False,
) -> None:
    """Print rows with control characters escaped: as a table on a terminal, else and if it is wide as plain columns.

    On a narrow terminal, cells of `foldable` columns are wrapped, and the last columns left out.
    """
    cells = [titles, *([escape(cell) for cell in row] for row in rows)]
    if is_wide or not sys.stdout.isatty():
        click.echo("\n".join(lines(cells)))
        return
    widths = fitted(
        [max(map(width, column)) for column in zip(*cells, strict=True)],
        terminal_width(sys.stdout),
        foldable={titles.index(title) for title in foldable},
        optional=range(len(titles) - 1, ALWAYS - 1, -1),
    )
    folded = [[fold(row[column], room) for column, room in widths.items()] for row in cells]
    head, *body = lines([line for row in folded for line in zip_longest(*row, fillvalue="")])
    click.echo("\n".join([click.style(head, bold=True) if has_colours(sys.stdout) else head, *body]))


def file_name(path: Path | None) -> str:
    """The path of a file: the shorter of relative and absolute on a terminal, absolute in a pipe."""
    whole = str(path)
    if path is None or not sys.stdout.isatty():
        return whole
    return min(whole, os.path.relpath(path), key=len)
