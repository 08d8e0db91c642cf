"""JSON with comments and trailing commas, as OpenCode reads its own files.

A JSON5 reader would take more than OpenCode does, and seconds for what the standard library reads in
milliseconds.
"""

import json
import re

STRING = r'"(?:\\.|[^"\\])*(?:"|\Z)'
COMMENT = re.compile(rf"(?P<string>{STRING})|//[^\n\r]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
TRAILING_COMMA = re.compile(rf"(?P<string>{STRING})|,(?=[ \t\r\n]*[}}\]])", re.DOTALL)


def parse(text: str) -> object:
    """The value of a document; raises ValueError with the line of the original text."""
    try:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return json.loads(to_json(text))
    except RecursionError as error:
        raise ValueError("too many brackets within brackets") from error


def to_json(text: str) -> str:
    """The same document as plain JSON, with every value where it stood."""
    return TRAILING_COMMA.sub(blank, COMMENT.sub(blank, text))


def blank(match: re.Match[str]) -> str:
    """Spaces instead of a comment or a comma; a string as it is."""
    found = match.group()
    return found if match["string"] is not None else re.sub(r"[^\n\r]", " ", found)
