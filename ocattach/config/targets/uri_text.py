"""Parts of URIs that all schemes share: percent-encoding, userinfo, host and port, query.

Stricter than urllib.parse.urlsplit, which removes line breaks and tolerates misplaced brackets.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets.rules import check_port, check_printable
from ocattach.errors import UsageError

SAFE_IN_PATH = "/:@+,=!$&'()*;"
SAFE_IN_QUERY = "/:@,="


class URIParts(NamedTuple):
    """A URI split into scheme, body and query."""

    scheme: str

    body: str
    """The text between `://` and `?`, still percent-encoded."""

    query: Mapping[str, str]
    """Decoded keys and values; no value is empty."""

    def refuse_unknown_query(self, *known: str) -> None:
        """Raise UsageError for a query key that the scheme does not have."""
        for key in self.query:
            if key not in known:
                raise UsageError(
                    f"{self.scheme}:// has no query key {key!r}",
                    hint=did_you_mean(key, known) or f"{self.scheme}:// has no query",
                )


def split_uri(text: str) -> URIParts:
    """Split a URI; the body is parsed by its scheme."""
    check_printable(text, "the URI")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise UsageError(f"{text!r} is not a URI", hint="Examples: docker://NAME, ssh://HOST/DIR")
    if "#" in rest:
        raise UsageError(f"{text!r} contains '#'", hint="In a name, write # as %23")
    body, _, query = rest.partition("?")
    return URIParts(scheme.lower(), body, split_query(query))


def split_query(query: str) -> dict[str, str]:
    """The keys and values of a query."""
    found: dict[str, str] = {}
    for item in query.split("&") if query else ():
        key, _, value = item.partition("=")
        key, value = decode(key), decode(value)
        if not value:
            raise UsageError(
                f"Query key {key!r} has no value", hint=f"Write ?{encode(key, SAFE_IN_QUERY)}=VALUE"
            )
        if key in found:
            raise UsageError(f"Query key {key!r} is given twice")
        found[key] = value
    return found


def format_query(values: Mapping[str, str | None]) -> str:
    """The inverse of `split_query`, with the `?`; None and empty values are left out."""
    items = [f"{key}={encode(value, SAFE_IN_QUERY)}" for key, value in values.items() if value]
    return f"?{'&'.join(items)}" if items else ""


def split_authority(text: str) -> tuple[str | None, str, int | None]:
    """User, host and port of `user@host:port`; an IPv6 host without its brackets."""
    user, place = split_user(text)
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or ":" not in host or (port and not port.startswith(":")):
            raise UsageError(
                f"{place!r} is not a valid address", hint="Write an IPv6 address as [::1] or [::1]:PORT"
            )
        return user, decode(host), read_port(port[1:]) if port else None
    host, colon, port = place.partition(":")
    return user, decode(host), read_port(port) if colon else None


def format_authority(user: str | None, host: str, port: int | None) -> str:
    """The inverse of `split_authority`."""
    place = f"[{host.replace('%', '%25')}]" if ":" in host else encode(host)
    return f"{f'{encode(user)}@' if user else ''}{place}{f':{port}' if port else ''}"


def split_place(body: str) -> tuple[str | None, str, str | None]:
    """User, name (still encoded) and directory of `user@name:dir`, for containers and pods."""
    head, slash, tail = body.partition("/")
    user, head = split_user(head)
    name, colon, workdir = f"{head}{slash}{tail}".partition(":")
    return user, name, decode(workdir) if colon else None


def format_place(user: str | None, name: str, workdir: str | None) -> str:
    """The inverse of `split_place`; the name is already encoded."""
    prefix = f"{encode(user)}@" if user else ""
    return f"{prefix}{name}" if workdir is None else f"{prefix}{name}:{encode(workdir, SAFE_IN_PATH)}"


def split_user(text: str) -> tuple[str | None, str]:
    """The user before `@`, and the rest. Raises UsageError for a password, since URIs are shown and stored."""
    user, at, rest = text.rpartition("@")
    if not at:
        return None, rest
    if ":" in user:
        raise UsageError(
            "A URI cannot contain a password, since URIs are shown and stored",
            hint="Remove it: ocattach asks for it. In USER:GROUP, write the colon as %3A",
        )
    if not user:
        raise UsageError("The user before '@' is empty")
    return decode(user), rest


def read_port(text: str) -> int:
    """Parse the port after a colon."""
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise UsageError(f"{text!r} is not a port", hint="A directory follows a slash: ssh://HOST/DIR")
    port = int(text)
    check_port(port)
    return port


def encode(text: str, safe: str = "") -> str:
    """Percent-encode all characters but letters, digits, `_.-~` and those of `safe`."""
    return quote(text, safe=safe)


def decode(text: str) -> str:
    """Undo percent-encoding. Raises UsageError for an incomplete escape, and for text that is not UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise UsageError(
            f"{text!r} has a '%' without two hexadecimal digits", hint="Write a percent sign as %25"
        )
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise UsageError(f"{text!r} is not UTF-8 after decoding") from error
