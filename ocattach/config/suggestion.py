"""Suggestions of similar names, for hints of errors."""

from collections.abc import Iterable

MOST = 3
LONGEST = 100
"""The number of suggestions, and of characters that are compared: comparing takes quadratic time."""

LIST_ALL = "List all connections: ocattach --list"


def closest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> tuple[str, ...]:
    """The known words most similar to `word`, at least by this much of 1, best first, ignoring case."""
    from difflib import get_close_matches  # noqa: PLC0415 - warm; 3 ms

    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(word[:LONGEST].casefold(), by_folded, n=MOST, cutoff=likeness)
    return tuple(by_folded[match] for match in matches)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the most similar words, else the list of all; empty if there are none."""
    words = sorted(known)
    return question(word, words) or (f"Known: {', '.join(words)}" if words else "")


def or_list(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown name of a connection: the most similar ones, and the command that lists all."""
    return f"{question(name, known)} {LIST_ALL}".lstrip()


def question(word: str, known: Iterable[str]) -> str:
    """A question with the most similar words; empty if there are none."""
    near = closest(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else ""
