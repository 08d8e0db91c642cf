"""Tables: laid out for the width of a terminal, or one line per row in a pipe."""

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from ocattach.cli.columns import GAP, lines
from ocattach.cli.terminal import escape, screen_console


def print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, foldable: Collection[str] = ()
) -> None:
    """Print rows with control characters escaped: as a table on a terminal, else as plain columns.

    On a narrow terminal, cells of `foldable` columns are wrapped.
    """
    if not sys.stdout.isatty():
        click.echo("\n".join(lines([titles, *([escape(cell) for cell in row] for row in rows)])))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title not in foldable)
    for row in rows:
        table.add_row(*(Text(escape(cell)) for cell in row))
    screen_console(sys.stdout).print(table)


def file_name(path: Path | None) -> str:
    """The path of a file: the shorter of relative and absolute on a terminal, absolute in a pipe."""
    whole = str(path)
    if path is None or not sys.stdout.isatty():
        return whole
    return min(whole, os.path.relpath(path), key=len)
