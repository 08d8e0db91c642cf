"""Valid names of connections."""

import re

from ocattach.errors import UsageError

COMMANDS = "session explain doctor logs trust completion events wait forward ports web exec shell rename env"
VERBS = "attach ls list status save rm remove stop disconnect help version"
LATER = "run hooks init login move import"

RESERVED = frozenset(f"{COMMANDS} {VERBS} {LATER}".split())
"""Commands, those that may come included: `ocattach NAME` must stay unambiguous."""

LOCAL = "local"
"""The name of this machine, unless the user has saved a connection under this name."""

RESERVED_IN_PROJECTS = frozenset({*RESERVED, LOCAL})
"""Names that a project file may not define: those that would take the place of something built in."""

LONGEST = 100
"""Short enough for a file name with an extension on every system."""

PATTERN = rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}"


def is_name(text: str) -> bool:
    """Whether a text has the form of a name; it may still be reserved."""
    return re.fullmatch(PATTERN, text) is not None


def check_name(text: str) -> None:
    """Raise UsageError for an invalid or reserved name."""
    if not is_name(text):
        raise UsageError(
            f"Invalid connection name {text!r}",
            hint="A name consists of letters, digits, '.', '_' and '-', and begins with a letter, a digit or '_'",
        )
    if text in RESERVED:
        raise UsageError(
            f"{text!r} is reserved for a command of ocattach", hint=f"Choose another name, such as my-{text}"
        )


def check_project_name(text: str) -> None:
    """Raise UsageError for a name that a project file may not define."""
    check_name(text)
    if text in RESERVED_IN_PROJECTS:
        raise UsageError(
            f"{text!r} is reserved for this machine", hint=f"Choose another name, such as my-{text}"
        )
