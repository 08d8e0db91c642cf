"""JSON with comments and trailing commas, as OpenCode reads its configuration.

A JSON5 parser would accept more than OpenCode does, and the available ones are a thousand times slower.
"""

import json
import re
from collections.abc import Iterator, Sequence

STRING = r'"(?:\\.|[^"\\])*(?:"|\Z)'
COMMENT = re.compile(rf"(?P<string>{STRING})|//[^\n\r]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
SPACE = re.compile(r"[ \t\r\n]*")
TRAILING_COMMA = re.compile(rf"(?P<string>{STRING})|,(?=[ \t\r\n]*[}}\]])", re.DOTALL)


def parse(text: str) -> object:
    """Parse a document. Raises ValueError with the line in the original text."""
    try:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return json.loads(to_json(text))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def to_json(text: str) -> str:
    """The document as plain JSON, with each value at its original position."""
    return TRAILING_COMMA.sub(blank, COMMENT.sub(blank, text))


def blank(match: re.Match[str]) -> str:
    """Replace a comment or comma by spaces; keep a string."""
    found = match.group()
    return found if match["string"] is not None else re.sub(r"[^\n\r]", " ", found)


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """The line of a key, given the path of keys to it; None if there is none. For error messages.

    The text must be one that `parse` accepts.
    """
    plain = to_json(text)
    place: int | None = None
    value = skip_space(plain, 0)
    for key in keys:
        found = [member for member in members(plain, value) if member[0] == key]
        if not found:
            return None
        _, place, value = found[-1]  # the last of duplicate keys takes effect
    return None if place is None else plain.count("\n", 0, place) + 1


def members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """The keys of the object at `start`, each with its position and that of its value."""
    decoder = json.JSONDecoder()
    position = start + 1 if text[start : start + 1] == "{" else len(text)
    while (place := skip_space(text, position)) < len(text) and text[place] == '"':
        key, position = decoder.raw_decode(text, place)
        value = skip_space(text, skip_space(text, position) + 1)
        yield key, place, value
        _, position = decoder.raw_decode(text, value)
        position = skip_space(text, position) + 1


def skip_space(text: str, position: int) -> int:
    """The position of the next character that is not white space."""
    match = SPACE.match(text, position)
    return match.end() if match else position
