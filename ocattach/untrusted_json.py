"""Parses JSON that others wrote, within bounds of depth, time and memory."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 100
"""Levels of nesting. An event of OpenCode has about ten."""

MOST_VALUES = 2_000_000
MOST_CONTAINERS = 300_000
"""The number of values, and of lists and objects among them. 40,000 sessions, which are 16 MiB, have half as many.

An empty list takes 2 bytes of JSON, and 72 of memory.
"""

SLICE = 1024 * 1024

SURROGATES = re.compile(
    r"(?P<kept>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""Escaped surrogates: in pairs they are a character, alone they cannot be encoded."""


def parse_json(data: bytes) -> Any:
    """Parse a JSON document. NaN and infinite numbers become None, and what is not Unicode is replaced.

    Raises ValueError if it is not JSON, is nested more than `DEEPEST` levels deep, or has too many values.
    """
    containers = data.count(b"[") + data.count(b"{")
    if not is_small(containers, data.count(b",")):
        check_size(data)
    text = data.decode(errors="replace")
    if "\\ud" in text or "\\uD" in text:
        text = SURROGATES.sub(lambda found: found["kept"] or "\N{REPLACEMENT CHARACTER}", text)
    try:
        content = DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if containers > DEEPEST:
        check_depth(content)
    return content


def table(content: Any) -> Mapping[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return content if isinstance(content, Mapping) else {}


def objects(content: Any) -> list[dict[str, Any]]:
    """Return the JSON objects of a list; nothing if it is not a list."""
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def shortened(content: Any, longest: int) -> str:
    """Return the beginning of a text; empty for anything else."""
    return content[:longest] if isinstance(content, str) else ""


def check_size(data: bytes) -> None:
    """Raise ValueError for too many values. What is in strings does not count."""
    containers = commas = 0
    for part in outside_strings(data):
        containers += part.count(b"[") + part.count(b"{")
        commas += part.count(b",")
        if not is_small(containers, commas):
            raise ValueError("too many values")


def is_small(containers: int, commas: int) -> bool:
    """Return whether a document with so many containers and commas can be parsed in bounded memory."""
    return containers <= MOST_CONTAINERS and containers + commas <= MOST_VALUES


def outside_strings(data: bytes) -> Iterator[bytes]:
    """Yield what is not in strings, in parts. Uses no regular expression: those take a second for each MiB of `"",`."""
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    inside = 0
    for start in range(0, len(plain), SLICE):
        pieces = plain[start : start + SLICE].split(b'"')
        yield b"".join(pieces[inside::2])
        inside = (inside + len(pieces) - 1) % 2


def check_depth(content: Any) -> None:
    """Raise ValueError if a parsed document is nested too deeply."""
    level = [content] if isinstance(content, (dict, list)) else []
    for _ in range(DEEPEST):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise ValueError("nested too deeply")


def finite(text: str) -> float | None:
    """Read a number with a fraction or an exponent; None if it is too large."""
    number = float(text)
    return number if math.isfinite(number) else None


DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=finite)
