"""What a connection may be called."""

import re

from ocattach.errors import UsageError

RESERVED = frozenset(
    {"session", "explain", "doctor", "logs", "trust", "completion", "events", "run", "hooks", "init"}
)
"""Commands, those that are to come included: `ocattach NAME` must stay unambiguous."""

LONGEST = 100
"""With an extension, still a file name everywhere."""

PATTERN = rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}"


def is_name(text: str) -> bool:
    """Whether a connection may have this name, reserved or not."""
    return re.fullmatch(PATTERN, text) is not None


def check_name(text: str) -> None:
    """Raise a UsageError for what cannot be a connection's name."""
    if not is_name(text):
        raise UsageError(
            f"{text!r} cannot be a connection's name",
            hint="A name has letters, digits, '.', '_' and '-', and begins with a letter, a digit or '_'",
        )
    if text in RESERVED:
        raise UsageError(f"{text} is a command of ocattach", hint=f"Another name is free, such as my-{text}")
