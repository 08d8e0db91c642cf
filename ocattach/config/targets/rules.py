"""What names, hosts, ports and directories may look like.

They travel to engines, shells and terminals, so that only what real ones are made of gets in: nothing that
could be read as an option or means something to a shell or terminal, no letters that look like others.
"""

import re

from ocattach.errors import UsageError

HIGHEST_PORT = 65535


def check_text(value: str, what: str) -> None:
    """Refuse what is empty, could be read as an option, or cannot be shown as it is."""
    if not value:
        raise UsageError(f"{what} is empty")
    if value.startswith("-"):
        raise UsageError(f"{what} {value!r} begins with '-', as an option does")
    check_printable(value, what)


def check_printable(value: str, what: str) -> None:
    """Refuse control characters, line breaks and characters that change how their neighbours are shown."""
    if not value.isprintable():
        bad = next(character for character in value if not character.isprintable())
        raise UsageError(f"{what} contains the character {bad!r}")


def check_word(value: str, what: str, *, also: str = "") -> None:
    """Refuse all but ASCII letters, digits, `_.-` and `also`; a letter, a digit or `_` comes first."""
    check_text(value, what)
    for character in value:
        if not (character.isascii() and (character.isalnum() or character in "_.-" or character in also)):
            raise UsageError(f"{what} {value!r} contains {character!r}")
    if not (value[0].isalnum() or value[0] == "_"):
        raise UsageError(f"{what} {value!r} begins with {value[0]!r}")


def check_user(value: str, what: str = "user") -> None:
    """Refuse what is no account: a name, a number, `user:group`, or `user@domain`."""
    check_word(value, what, also=":@+")


def check_host(value: str, what: str = "host") -> None:
    """Refuse what is neither a host's name or alias nor an IP address."""
    address, percent, zone = value.partition("%")
    if ":" not in address:
        if not value.isascii() and value.isprintable():
            raise UsageError(f"{what} {value!r} has other letters than ASCII", hint=in_ascii(value))
        check_word(value, what)
        return
    from ipaddress import IPv6Address  # noqa: PLC0415 - few hosts are written so

    try:
        IPv6Address(address)
    except ValueError as error:
        raise UsageError(f"{what} {value!r} is neither a name nor an IP address") from error
    if percent:
        check_word(zone, f"the zone of {what} {value!r}")


def in_ascii(host: str) -> str:
    """What a host with other letters is really called: letters that look alike are then told apart."""
    try:
        return f"Its name in ASCII is {host.encode('idna').decode()}: write that, if it is the host you mean"
    except UnicodeError:
        return "No host has such a name"


def check_port(value: int, what: str = "port") -> None:
    """Refuse what is no TCP port."""
    if not 1 <= value <= HIGHEST_PORT:
        raise UsageError(f"{what} {value} is not between 1 and {HIGHEST_PORT}")


def check_workdir(value: str) -> None:
    """Refuse a directory that depends on where one stands, since that differs at each end."""
    check_printable(value, "workdir")
    if not (value.startswith(("/", "~/")) or value == "~"):
        raise UsageError(f"workdir {value!r} is not absolute", hint="It begins with / or ~/")


def check_variable(value: str, what: str) -> None:
    """Refuse what is no name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise UsageError(f"{what}: {value!r} is no name of an environment variable")
