"""The figures for people."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.figures import Figure

NARROWEST = 150
"""Columns; where nobody looks, as in a log of CI, the table must not be folded to nothing."""


def show(title: str, what_it_is: str, figures: Iterable[Figure], console: Console) -> None:
    """One measurement."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.caption, table.caption_justify, table.caption_style = what_it_is, "left", "dim"
    table.add_column("What", overflow="fold")
    table.add_column("ocattach", justify="right")
    table.add_column("best", justify="right", style="dim")
    table.add_column("Against", overflow="fold")
    for column in ("median", "best", "ratio", "difference", "goal", "met"):
        table.add_column(column, justify="right", style="dim" if column == "best" else "")
    for figure in figures:
        table.add_row(*cells(figure))
    console.print(table)
    console.print()


def cells(figure: Figure) -> list[Text]:
    """A row: our median and best, the others', how they compare by their medians, the goal."""
    ours, others = figure.ours, figure.others
    ratio = figure.compared("ratio", statistics.median)
    difference = figure.compared("difference", statistics.median)
    row = [
        figure.what,
        f"{number(statistics.median(ours))} {figure.unit}",
        number(figure.best(ours)),
        figure.against,
        f"{number(statistics.median(others))} {figure.unit}" if others else "",
        number(figure.best(others)) if others else "",
        "" if ratio is None else f"{ratio:.2f}",
        "" if difference is None else f"{difference:+.3g}",
        goal_text(figure),
    ]
    met = {True: Text("yes", style="green"), False: Text("no", style="red"), None: Text("")}[figure.is_met]
    return [*map(Text, row), met]


def number(value: float) -> str:
    """As many digits as people read."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004


def goal_text(figure: Figure) -> str:
    """What was aimed at."""
    if figure.goal is None:
        return ""
    limit = f"{figure.goal.limit:g}"
    forms = {
        "value": f"≤ {limit} {figure.unit}",
        "ratio": f"≤ {limit} x",
        "difference": f"≤ +{limit} {figure.unit}",
    }
    return forms[figure.goal.kind].strip()


def show_machine(facts: Mapping[str, Any], console: Console) -> None:
    """Where the numbers are from."""
    words = (f"{name} {value}" for name, value in facts.items() if value is not None)
    console.print(Text(", ".join(words), style="dim"))
    console.print()
