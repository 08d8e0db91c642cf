"""Plain text columns, for pipes and for tables that need no layout by rich."""

from collections.abc import Sequence

from rich.cells import cell_len as width

__all__ = ["GAP", "cut", "lines", "width"]

GAP = 2
"""Spaces between columns."""


def cut(text: str, columns: int) -> str:
    """The text, shortened to a number of terminal columns."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines; nothing is shortened or wrapped."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "".join(
            cell + " " * (each + GAP - width(cell)) for cell, each in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
