"""Plain columns, of text that can be anything: for pipes, and for terminals where no table has to be loaded."""

from collections.abc import Sequence

from rich.cells import cell_len as width

__all__ = ["GAP", "cut", "lines", "pad", "width"]

GAP = 2
"""Spaces between columns."""


def cut(text: str, columns: int) -> str:
    """The text, with its end left out where it takes more than so many columns of a terminal."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"


def pad(text: str, columns: int) -> str:
    """The text filled up with spaces; what is wide on a terminal counts as that."""
    return text + " " * (columns - width(text))


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows one below the other, the first of them the titles; nothing is cut or folded."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "".join(pad(cell, each + GAP) for cell, each in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
