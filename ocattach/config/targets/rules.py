"""Validation of names, hosts, ports and directories.

They are passed to engines, shells and terminals. Rejected are values that could be read as an option, special
characters of shells and terminals, and non-ASCII letters that look like others. Each check raises UsageError.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any

from ocattach.errors import UsageError
from ocattach.printable import JOINERS

HIGHEST_PORT = 65535


def check_given(target: object, checks: Mapping[str, Callable[[Any, str], None]]) -> None:
    """Apply each check to the attribute of its name, unless that is None."""
    for name, check in checks.items():
        if (value := getattr(target, name)) is not None:
            check(value, name)


def check_text(value: str, what: str) -> None:
    """Reject text that is empty, begins with "-", or has unprintable characters."""
    if not value:
        raise UsageError(f"{what} is empty")
    if value.startswith("-"):
        raise UsageError(f"{what} {value!r} begins with '-' like an option")
    check_printable(value, what)


def check_printable(value: str, what: str) -> None:
    """Reject control characters, line breaks and characters that change the display of others."""
    if not (visible := JOINERS.sub("", value)).isprintable():
        bad = next(character for character in visible if not character.isprintable())
        raise UsageError(f"{what} contains the character {bad!r}")


def check_word(value: str, what: str, *, also: str = "") -> None:
    """Accept ASCII letters, digits, `_.-` and `also`, beginning with a letter, a digit or `_`."""
    check_text(value, what)
    for character in value:
        if not (character.isascii() and (character.isalnum() or character in "_.-" or character in also)):
            raise UsageError(f"{what} {value!r} contains {character!r}")
    if not (value[0].isalnum() or value[0] == "_"):
        raise UsageError(f"{what} {value!r} begins with {value[0]!r}")


def check_user(value: str, what: str = "user") -> None:
    """Accept a user: a name, a number, `user:group`, or `user@domain`."""
    check_word(value, what, also=":@+")


def check_host(value: str, what: str = "host") -> None:
    """Accept a host name, an alias, or an IP address."""
    address, percent, zone = value.partition("%")
    if ":" not in address:
        if not value.isascii() and value.isprintable():
            raise UsageError(f"{what} {value!r} has non-ASCII letters", hint=in_ascii(value))
        check_word(value, what)
        return
    try:
        IPv6Address(address)
    except ValueError as error:
        raise UsageError(f"{what} {value!r} is neither a name nor an IP address") from error
    if percent:
        check_word(zone, f"the zone of {what} {value!r}")


def in_ascii(host: str) -> str:
    """A hint with the ASCII (IDNA) form of a host name, in which similar letters can be distinguished."""
    try:
        return f"If this is the host you mean, use its ASCII form: {host.encode('idna').decode()}"
    except UnicodeError:
        return "This is not a valid host name"


def check_port(value: int, what: str = "port") -> None:
    """Accept a TCP port."""
    if not 1 <= value <= HIGHEST_PORT:
        raise UsageError(f"{what} {value} is not between 1 and {HIGHEST_PORT}")


def check_workdir(value: str) -> None:
    """Accept an absolute directory, or one below the home directory (`~`)."""
    check_printable(value, "workdir")
    if not (value.startswith(("/", "~/")) or value == "~"):
        raise UsageError(f"workdir {value!r} is not absolute", hint="Begin it with / or ~/")


def check_file(value: str, what: str) -> None:
    """Accept the absolute path of a file of this machine, or one below the home directory (`~/`)."""
    check_text(value, what)
    if not value.startswith(("/", "~/")):
        raise UsageError(f"{what} {value!r} is not absolute", hint="Begin it with / or ~/")


def check_variable(value: str, what: str) -> None:
    """Accept the name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise UsageError(f"{what}: {value!r} is not a valid variable name")
