"""Suggestions of similar names, for hints of errors."""

from collections.abc import Iterable

MOST = 3
LONGEST = 100
"""The number of suggestions, and of characters that are compared: comparing takes quadratic time."""


def closest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> tuple[str, ...]:
    """The known words most similar to `word`, at least by this much of 1, best first, ignoring case."""
    from difflib import get_close_matches  # noqa: PLC0415 - warm; 3 ms

    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(word[:LONGEST].casefold(), by_folded, n=MOST, cutoff=likeness)
    return tuple(by_folded[match] for match in matches)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the most similar words, else the list of all; empty if there are none."""
    words = sorted(known)
    near = closest(word, words)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known: {', '.join(words)}" if words else ""
