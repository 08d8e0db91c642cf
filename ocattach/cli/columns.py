"""The layout of tables: aligned columns, and on a terminal what fits its width."""

import sys
from collections.abc import Collection, Sequence
from unicodedata import bidirectional

from rich.cells import cell_len as width
from rich.cells import chop_cells

__all__ = ["GAP", "cut", "fitted", "fold", "lines", "width"]

GAP = 2
LEAST = 20
"""Width to which a column that can be folded is reduced before others are left out."""

RIGHT_TO_LEFT = {"R", "AL", "AN"}
FIRST_STRONG_ISOLATE, POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"
JOINER = "\u200d"


def cut(text: str, columns: int) -> str:
    """The text, shortened to a number of terminal columns."""
    if width(text) <= columns:
        return text
    kept = chop_cells(text, columns - 1)[0].rstrip(JOINER) if columns > 1 else ""
    return f"{kept}…"


def fold(text: str, columns: int) -> list[str]:
    """The text in lines of at most a number of terminal columns, broken at spaces if possible."""
    found: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            joined = f"{line} {word}" if line else word
            if width(joined) > columns:
                found += [line] if line else []
                *full, joined = chop_cells(word, columns) or [""]
                found += full
            line = joined
        found.append(line)
    return found


def fitted(
    widths: Sequence[int], room: int, *, foldable: Collection[int], optional: Sequence[int]
) -> dict[int, int]:
    """The columns that fit a terminal, with their widths.

    Those in `foldable` are reduced first, down to LEAST. Then columns are left out in the order of `optional`, and last
    the widest are reduced further.
    """
    chosen = dict(enumerate(widths))
    dropped = iter(optional)

    def excess(chosen: dict[int, int]) -> int:
        return sum(chosen.values()) + GAP * (len(chosen) - 1) - room

    def least(column: int) -> int:
        return min(chosen[column], LEAST) if column in foldable else chosen[column]

    while (
        excess({column: least(column) for column in chosen}) > 0
        and (column := next(dropped, None)) is not None
    ):
        chosen.pop(column)
    while excess(chosen) > 0 and max(chosen.values()) > 1:
        wide = [column for column in chosen if chosen[column] > least(column)] or chosen
        chosen[max(wide, key=chosen.__getitem__)] -= 1
    return chosen


def isolated(text: str) -> str:
    """The text; one that has right-to-left letters is isolated, or it would reorder the cells beside it (UAX 9)."""
    if any(bidirectional(character) in RIGHT_TO_LEFT for character in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_DIRECTIONAL_ISOLATE}"
    return text


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines; nothing is shortened or wrapped. On a terminal, cells do not affect each other's order."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    shown = isolated if sys.stdout.isatty() else str
    return [
        "".join(
            shown(cell) + " " * (each + GAP - width(cell)) for cell, each in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
