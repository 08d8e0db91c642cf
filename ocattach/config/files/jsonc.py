"""JSON with comments and trailing commas, as OpenCode reads its configuration.

A JSON5 parser would accept more than OpenCode does, and the available ones are a thousand times slower.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from ocattach.untrusted_json import check_depth

STRING = r'"(?:\\.|[^"\\])*(?:"|\Z)'
COMMENT = re.compile(rf"(?P<string>{STRING})|//[^\n\r]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
SPACE = re.compile(r"[ \t\r\n]*")
MOST_DIGITS = 100
TRAILING_COMMA = re.compile(rf"(?P<string>{STRING})|,(?=[ \t\r\n]*[}}\]])", re.DOTALL)


def whole(digits: str) -> int | float:
    """Read a whole number. One beyond all that is meant becomes a fraction, as in JavaScript: int() refuses it."""
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


DECODER = json.JSONDecoder(parse_int=whole)


def parse(text: str) -> object:
    """Parse a document. Raises ValueError with the line in the original text."""
    try:
        try:
            content = DECODER.decode(text)
        except json.JSONDecodeError:
            content = DECODER.decode(to_json(text))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    check_depth(content)
    return content


def to_json(text: str) -> str:
    """The document as plain JSON, with each value at its original position."""
    return TRAILING_COMMA.sub(blank, COMMENT.sub(blank, text))


def blank(match: re.Match[str]) -> str:
    """Replace a comment or comma by spaces; keep a string."""
    found = match.group()
    return found if match["string"] is not None else re.sub(r"[^\n\r]", " ", found)


class Lines:
    """The lines of keys in a document, for error messages. Each object is read once, when it is first needed.

    The text must be one that `parse` accepts.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._objects: dict[int, dict[str, tuple[int, int]]] = {}
        """By position: the keys, each with its position and that of its value."""

    @cached_property
    def _plain(self) -> str:
        return to_json(self._text)

    def line(self, keys: Sequence[str]) -> int | None:
        """Return the line of a key, given the path of keys to it; None if there is none."""
        place: int | None = None
        value = skip_space(self._plain, 0)
        for key in keys:
            found = self._object(value).get(key)
            if found is None:
                return None
            place, value = found
        return None if place is None else self._plain.count("\n", 0, place) + 1

    def _object(self, start: int) -> dict[str, tuple[int, int]]:
        """Return the members of the object at a position. The last of duplicate keys takes effect."""
        if start not in self._objects:
            self._objects[start] = {key: (place, value) for key, place, value in members(self._plain, start)}
        return self._objects[start]


def members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """The keys of the object at `start`, each with its position and that of its value."""
    position = start + 1 if text[start : start + 1] == "{" else len(text)
    while (place := skip_space(text, position)) < len(text) and text[place] == '"':
        key, position = DECODER.raw_decode(text, place)
        value = skip_space(text, skip_space(text, position) + 1)
        yield key, place, value
        _, position = DECODER.raw_decode(text, value)
        position = skip_space(text, position) + 1


def skip_space(text: str, position: int) -> int:
    """The position of the next character that is not white space."""
    match = SPACE.match(text, position)
    return match.end() if match else position
