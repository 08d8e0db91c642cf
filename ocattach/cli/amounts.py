"""Ages and costs as text, and time spans as typed."""

import re
import time

from ocattach.errors import UsageError

STEPS = ((60, "min"), (3600, "hour"), (24 * 3600, "day"), (7 * 24 * 3600, "week"), (365 * 24 * 3600, "year"))
WEEKS = 21 * 24 * 3600
"""Ages below this are given in days."""

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
SPAN = re.compile(r"(\d{1,6})\s*([a-z]+)")


def ago(stamp: float | None, now: float | None = None) -> str:
    """The age of a time in seconds since the epoch: "now", "2 min ago", "1 hour ago", "3 days ago"; of None "never"."""
    if stamp is None:
        return "never"
    age = max(0.0, (time.time() if now is None else now) - stamp)
    size, unit = next(
        ((size, unit) for size, unit in reversed(STEPS) if age >= (WEEKS if unit == "week" else size)),
        (0, "now"),
    )
    if not size:
        return unit
    count = int(age // size)
    return f"{count} {unit}{'s' if count != 1 and unit != 'min' else ''} ago"


def money(dollars: float) -> str:
    """A cost as text; empty for 0."""
    if not dollars:
        return ""
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.4f}"


def moment(text: str | None, option: str) -> int | None:
    """The time a span ("2d", "12h", "30min") before now, in milliseconds since the epoch. Raises UsageError."""
    if text is None:
        return None
    found = SPAN.fullmatch(text.strip().lower())
    if found is None or found[2] not in UNITS:
        raise UsageError(
            f"{option} {text!r} is not a time span", hint=f"Examples: {option} 2d, 12h, 30min, 1w"
        )
    return int((time.time() - int(found[1]) * UNITS[found[2]]) * 1000)
