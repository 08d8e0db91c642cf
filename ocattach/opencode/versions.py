"""What the versions of OpenCode can and cannot do: all of it, and nothing of it elsewhere.

What is said of version 1 was seen by running releases of npm, each range by the first and last release tried in it:
1.1.65, 1.2.1, 1.2.6, 1.2.20, 1.3.2, 1.14.34, 1.14.41, 1.15.0, 1.15.4, 1.15.13, 1.17.0 and 1.18.33.
What is said of version 2 comes from its published source alone (packages/cli/src: commands.ts, env.ts,
server-connection.ts, service-registration.ts); none could be run.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ocattach.errors import OpencodeIncompatibleError

VERSION_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
NUMBERS = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])")
HEALTH_PATHS = ("/global/health", "/api/health", "/api/info")
"""Where a daemon tells its version, as JSON: version 1, then 2.0 and, since 2.0.24, `info`.

Both versions answer unknown paths with a web page and status 200: only JSON with a version counts.
"""


class Version(NamedTuple):
    """A release, to be compared."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST_SAFE = Version(1, 0, 216)
"""Before this, any web page could run commands through the daemon (CVE-2026-22812)."""

SECOND = Version(2, 0, 0)
CONTINUE_SINCE = Version(1, 2, 6)
"""`attach --continue` and `--fork`; 1.2.1 has neither."""

USERNAME_SINCE = Version(1, 14, 34)
"""`attach` heeds OPENCODE_SERVER_USERNAME; 1.3.2 is always called "opencode"."""

METADATA_SINCE = Version(1, 15, 13)
"""Sessions keep `metadata`; 1.15.4 drops it without a word."""

UNKNOWN_KEYS_SINCE = Version(1, 18, 16)
"""Unknown keys in opencode.json, such as `environments`, are ignored; 1.18.15 refuses the whole file."""


API_SINCE = Version(1, 17, 0)
"""The TUI asks for paths below /api, which daemons have since then.

An error in their place it takes for an old daemon and goes on; a web page ends it. 1.14.34 to 1.15.13 give their own
page; daemons up to 1.3.2 fetch one from the internet, and answer 500 where there is none.
"""

API_SAMPLE = "/api/health"
WEB_PAGE = "text/html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tui:
    """What the TUI is to show."""

    url: str
    directory: str | None = None
    """As the client is to be given it."""

    session: str | None = None
    continue_last: bool = False
    fork: bool = False
    more: Sequence[str] = ()
    """Whatever else the user wants its command to be given."""


def parse_version(text: str) -> Version | None:
    """The numbers of a release; None for anything else, such as a build of one's own ("local", 0.0.0-dev-…)."""
    found = NUMBERS.match(text)
    version = Version(*map(int, found.groups())) if found else None
    return version if version != (0, 0, 0) else None


def answered_version(content: Any) -> str | None:
    """The version in a health answer; None when that is no such answer."""
    version = content.get("version") if isinstance(content, dict) else None
    return version if isinstance(version, str) and VERSION_TEXT.fullmatch(version) else None


def version_argv(program: str) -> list[str]:
    """Return the command that prints the version of an `opencode` program."""
    return [program, "--version"]


def printed_version(output: bytes) -> str | None:
    """Return the version in the output of `version_argv`; None if that is anything else."""
    return answered_version({"version": output.decode(errors="replace").strip()})


def check_server(text: str) -> str:
    """A daemon's version, when it may be used. Raises OpencodeIncompatibleError for one with a known hole."""
    version = parse_version(text)
    if version and version < OLDEST_SAFE:
        raise OpencodeIncompatibleError(
            f"OpenCode {text} lets web pages run commands (CVE-2026-22812); {OLDEST_SAFE} or later is needed",
            hint="Update it in the environment: npm install -g opencode-ai",
        )
    return text


def is_second(text: str) -> bool:
    """Whether a version is of OpenCode 2, whose command line and API are others."""
    version = parse_version(text)
    return version is not None and version >= SECOND


def check_tui(
    client: str, server: str, tui: Tui, *, username: str, content_type: Callable[[str], str]
) -> None:
    """See that the program here can show what is asked for, of the daemon there.

    `content_type` asks the daemon for a path and tells what came; it is called only where that matters.
    Raises OpencodeIncompatibleError with both versions. A version that says nothing forbids nothing.
    """
    here, there = parse_version(client), parse_version(server)
    if here is None:
        return
    if there is not None:
        check_pair(here, there, content_type)
    if here < CONTINUE_SINCE and (tui.continue_last or tui.fork):
        option = "--fork" if tui.fork else "--continue"
        raise lacking(client, server, f"has no {option}, which came with {CONTINUE_SINCE} at the latest")
    if here >= SECOND and tui.fork:
        raise lacking(client, server, "has no --fork")
    if here < USERNAME_SINCE and username != "opencode":
        raise lacking(
            client, server, f"cannot log in as {username!r}, only as 'opencode'; {USERNAME_SINCE} can"
        )


def check_pair(here: Version, there: Version, content_type: Callable[[str], str]) -> None:
    """See that the two can speak with each other. Raises OpencodeIncompatibleError with both versions."""
    if here.major != there.major:
        effect = "the two have different protocols"
        raise unable(here, there, effect, f"Install OpenCode {there.major} here, or {here.major} there")
    if there < API_SINCE <= here and content_type(API_SAMPLE) == WEB_PAGE:
        effect = "the TUI would end with “Request is not supported by this version of OpenCode Server”"
        raise unable(here, there, effect, f"Update OpenCode there: npm install -g opencode-ai@{here}")


def unable(here: Version, there: Version, effect: str, hint: str) -> OpencodeIncompatibleError:
    """The error for two that cannot work together."""
    return OpencodeIncompatibleError(
        f"OpenCode {here} on this machine cannot show what OpenCode {there} in the environment serves: {effect}",
        hint=f"{hint}; --print-url connects without the TUI",
    )


def lacking(client: str, server: str, what: str) -> OpencodeIncompatibleError:
    """The error for a program here that is too old, or too new, for what was asked for."""
    return OpencodeIncompatibleError(
        f"OpenCode {client} on this machine {what} (the daemon is OpenCode {server})",
        hint=f"Install what the environment has: npm install -g opencode-ai@{server}",
    )


def shortcomings(server: str) -> list[str]:
    """What a daemon of this version cannot do, for people."""
    version = parse_version(server)
    if version is None:
        return []
    lacks = []
    if version < METADATA_SINCE:
        lacks.append(f"sessions keep no metadata, such as where they began ({METADATA_SINCE} does)")
    if refuses_unknown_keys(server):
        lacks.append(f"an opencode.json with environments is refused ({UNKNOWN_KEYS_SINCE} ignores the key)")
    if version >= SECOND:
        lacks.append("OpenCode 2 is supported as far as its source tells; it could not be tried")
    return lacks


def refuses_unknown_keys(version: str) -> bool:
    """Whether an OpenCode of this version starts with no opencode.json that has a key of ours."""
    known = parse_version(version)
    return known is not None and known < UNKNOWN_KEYS_SINCE


def keeps_metadata(version: str) -> bool:
    """Whether a daemon of this version keeps what is put into a session's `metadata`."""
    known = parse_version(version)
    return known is None or METADATA_SINCE <= known < SECOND


def config_hint(reason: str) -> str:
    """What to do about a configuration that OpenCode rejects for this reason."""
    if "environments" in reason:
        return (
            f"Before {UNKNOWN_KEYS_SINCE} OpenCode refuses that key: "
            "move it into .opencode/ocattach.json, or update OpenCode there"
        )
    return "Correct that file there, and connect again"


def tui_argv(program: str, version: str, tui: Tui) -> list[str]:
    """The command that shows the TUI. The password is not in it: see `credentials`."""
    if is_second(version):
        argv = [program, "--server", tui.url, *([tui.directory] if tui.directory else [])]
    else:
        argv = [program, "attach", tui.url, *(["--dir", tui.directory] if tui.directory else [])]
    argv += ["-s", tui.session] if tui.session else []
    argv += ["-c"] if tui.continue_last else []
    argv += ["--fork"] if tui.fork else []
    return [*argv, *tui.more]


CREDENTIALS = ("OPENCODE_SERVER_USERNAME", "OPENCODE_SERVER_PASSWORD", "OPENCODE_PASSWORD")
"""Every variable by which an OpenCode is told how to log in."""


def credentials(version: str, *, username: str, password: str) -> Mapping[str, str]:
    """The variables by which a TUI of this version logs in; version 2 is always called "opencode"."""
    if not password:
        return {}
    if is_second(version):
        return {"OPENCODE_PASSWORD": password}
    return {"OPENCODE_SERVER_PASSWORD": password, "OPENCODE_SERVER_USERNAME": username}
