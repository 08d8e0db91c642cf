"""The pieces of a URI that all schemes share: percent-encoding, userinfo, host and port, query.

Stricter than the standard library's splitter, which drops line breaks and guesses at brackets.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets.rules import check_port, check_printable
from ocattach.errors import UsageError

SAFE_IN_PATH = "/:@+,=!$&'()*;"
SAFE_IN_QUERY = "/:@,="


@dataclass(frozen=True, slots=True)
class URIParts:
    """A URI split at its scheme and its query."""

    scheme: str

    body: str
    """What stands between `://` and `?`, still percent-encoded."""

    query: Mapping[str, str]
    """Decoded; no key twice, no empty value."""

    def refuse_unknown_query(self, *known: str) -> None:
        """Raise a UsageError for a key after `?` that the scheme does not know."""
        for key in self.query:
            if key not in known:
                raise UsageError(
                    f"{self.scheme}:// has no {key!r} after '?'",
                    hint=did_you_mean(key, known) or f"{self.scheme}:// takes nothing after '?'",
                )


def split_uri(text: str) -> URIParts:
    """Split a URI; what the body means is for its scheme to say."""
    check_printable(text, "the URI")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise UsageError(f"{text!r} is no URI", hint="A URI looks like docker://NAME or ssh://HOST/DIR")
    if "#" in rest:
        raise UsageError(f"{text!r} contains '#'", hint="Where # is part of a name, write %23")
    body, _, query = rest.partition("?")
    return URIParts(scheme.lower(), body, split_query(query))


def split_query(query: str) -> dict[str, str]:
    """The keys and values after `?`."""
    found: dict[str, str] = {}
    for item in query.split("&") if query else ():
        key, _, value = item.partition("=")
        key, value = decode(key), decode(value)
        if not value:
            raise UsageError(
                f"{key!r} has no value after '?'", hint=f"Write ?{encode(key, SAFE_IN_QUERY)}=VALUE"
            )
        if key in found:
            raise UsageError(f"{key!r} stands twice after '?'")
        found[key] = value
    return found


def format_query(values: Mapping[str, str | None]) -> str:
    """The inverse of `split_query`, with its `?`; what is None or empty is left out."""
    items = [f"{key}={encode(value, SAFE_IN_QUERY)}" for key, value in values.items() if value]
    return f"?{'&'.join(items)}" if items else ""


def split_authority(text: str) -> tuple[str | None, str, int | None]:
    """User, host and port of `user@host:port`, the host of `[::1]` without its brackets."""
    user, place = split_user(text)
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or ":" not in host or (port and not port.startswith(":")):
            raise UsageError(
                f"{place!r} is no address", hint="An IPv6 address is written [::1] or [::1]:PORT"
            )
        return user, decode(host), read_port(port[1:]) if port else None
    host, colon, port = place.partition(":")
    return user, decode(host), read_port(port) if colon else None


def format_authority(user: str | None, host: str, port: int | None) -> str:
    """The inverse of `split_authority`."""
    place = f"[{host.replace('%', '%25')}]" if ":" in host else encode(host)
    return f"{f'{encode(user)}@' if user else ''}{place}{f':{port}' if port else ''}"


def split_place(body: str) -> tuple[str | None, str, str | None]:
    """User, name (still encoded) and directory of `user@name:dir`, as for containers and pods."""
    head, slash, tail = body.partition("/")
    user, head = split_user(head)
    name, colon, workdir = f"{head}{slash}{tail}".partition(":")
    return user, name, decode(workdir) if colon else None


def format_place(user: str | None, name: str, workdir: str | None) -> str:
    """The inverse of `split_place`; the name comes encoded."""
    prefix = f"{encode(user)}@" if user else ""
    return f"{prefix}{name}" if workdir is None else f"{prefix}{name}:{encode(workdir, SAFE_IN_PATH)}"


def split_user(text: str) -> tuple[str | None, str]:
    """The user before `@` and what follows; a password there is refused, since URIs are shown and kept."""
    user, at, rest = text.rpartition("@")
    if not at:
        return None, rest
    if ":" in user:
        raise UsageError(
            "A password does not belong in a URI, which is shown in lists and histories",
            hint="Leave it out: you are asked for it. In USER:GROUP, write the colon as %3A",
        )
    if not user:
        raise UsageError("There is no user before '@'")
    return decode(user), rest


def read_port(text: str) -> int:
    """A port as it stands after a colon."""
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise UsageError(f"{text!r} is no port", hint="A directory comes after /: ssh://HOST/DIR")
    port = int(text)
    check_port(port)
    return port


def encode(text: str, safe: str = "") -> str:
    """Percent-encode all but letters, digits, `_.-~` and the characters of `safe`."""
    return quote(text, safe=safe)


def decode(text: str) -> str:
    """Undo percent-encoding; half an escape, or one that is no UTF-8, is refused."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise UsageError(
            f"{text!r} has a '%' without two hexadecimal digits", hint="A percent sign is written %25"
        )
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise UsageError(f"{text!r} is not UTF-8 once decoded") from error
