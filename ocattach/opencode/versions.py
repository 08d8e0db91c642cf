"""The differences between versions of OpenCode. No other module compares versions.

Facts about version 1 come from running releases of npm; the first and last release of each range were tried:
1.1.65, 1.2.1, 1.2.6, 1.2.20, 1.3.2, 1.14.34, 1.14.41, 1.15.0, 1.15.4, 1.15.13, 1.17.0 and 1.18.33.
Facts about version 2 come from its published source only (packages/cli/src: commands.ts, env.ts,
server-connection.ts, service-registration.ts); it could not be run.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ocattach.errors import OpencodeIncompatibleError
from ocattach.printable import command_line

VERSION_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
NUMBERS = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])")
HEALTH_PATHS = ("/global/health", "/api/health", "/api/info")
"""Where a daemon reports its version, as JSON: version 1, then 2.0 and, since 2.0.24, `info`.

Both versions answer unknown paths with a web page and status 200: only JSON with a version counts.
"""


class Version(NamedTuple):
    """The version of a release."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST_SAFE = Version(1, 0, 216)
"""Before this, web pages could run commands through the daemon (CVE-2026-22812)."""

SECOND = Version(2, 0, 0)
CONTINUE_SINCE = Version(1, 2, 6)
"""Supports `attach --continue` and `--fork`; 1.2.1 does not."""

USERNAME_SINCE = Version(1, 14, 34)
"""`attach` uses OPENCODE_SERVER_USERNAME; 1.3.2 always logs in as "opencode"."""

METADATA_SINCE = Version(1, 15, 13)
"""Sessions keep `metadata`; 1.15.4 drops it without an error."""

UNKNOWN_KEYS_SINCE = Version(1, 18, 16)
"""Ignores unknown keys in opencode.json, such as `environments`; 1.18.15 rejects the file."""


API_SINCE = Version(1, 17, 0)
"""Daemons have the paths below /api, which the TUI of these versions requests.

An error response makes the TUI go on as with an old daemon; a web page ends it. 1.14.34 to 1.15.13 send their own
page; daemons up to 1.3.2 download one, and answer 500 without internet access.
"""

API_SAMPLE = "/api/health"
WEB_PAGE = "text/html"


class Tui(NamedTuple):
    """The arguments of the TUI."""

    url: str
    directory: str | None = None
    """As passed to the TUI."""

    session: str | None = None
    continue_last: bool = False
    fork: bool = False
    more: Sequence[str] = ()
    """Further arguments of the user."""


def parse_version(text: str) -> Version | None:
    """Parse a release; None for anything else, such as a custom build ("local", 0.0.0-dev-…)."""
    found = NUMBERS.match(text)
    version = Version(*map(int, found.groups())) if found else None
    return version if version != (0, 0, 0) else None


def answered_version(content: Any) -> str | None:
    """Return the version in a health response; None if it has none."""
    version = content.get("version") if isinstance(content, dict) else None
    return version if isinstance(version, str) and VERSION_TEXT.fullmatch(version) else None


def version_argv(program: str) -> list[str]:
    """Return the command that prints the version of an `opencode` program."""
    return [program, "--version"]


def printed_version(output: bytes) -> str | None:
    """Return the version in the output of `version_argv`; None if that is anything else."""
    return answered_version({"version": output.decode(errors="replace").strip()})


def check_server(text: str) -> str:
    """Return the version of a daemon. Raises OpencodeIncompatibleError if it has a known vulnerability."""
    version = parse_version(text)
    if version and version < OLDEST_SAFE:
        raise OpencodeIncompatibleError(
            f"OpenCode {text} lets web pages run commands (CVE-2026-22812); {OLDEST_SAFE} or later is needed",
            hint="Update it in the environment: npm install -g opencode-ai",
        )
    return text


def is_second(text: str) -> bool:
    """Return whether a version is of OpenCode 2, which has another command line and API."""
    version = parse_version(text)
    return version is not None and version >= SECOND


def check_tui(
    client: str, server: str, tui: Tui, *, username: str, content_type: Callable[[str], str]
) -> None:
    """Check that the program here works with the daemon there.

    `content_type` requests a path from the daemon and returns the type of the response; it is called only if needed.
    Raises OpencodeIncompatibleError with both versions. Unknown versions are accepted.
    """
    here, there = parse_version(client), parse_version(server)
    if here is None:
        return
    if there is not None:
        check_pair(here, there, content_type)
    if here < CONTINUE_SINCE and (tui.continue_last or tui.fork):
        option = "--fork" if tui.fork else "--continue"
        raise lacking(client, server, f"does not support {option}; {CONTINUE_SINCE} does")
    if here >= SECOND and tui.fork:
        raise lacking(client, server, "does not support --fork")
    if here < USERNAME_SINCE and username != "opencode":
        raise lacking(
            client, server, f"cannot log in as {username!r}, only as 'opencode'; {USERNAME_SINCE} can"
        )


def check_pair(here: Version, there: Version, content_type: Callable[[str], str]) -> None:
    """Check that the two versions work together. Raises OpencodeIncompatibleError."""
    if here.major != there.major:
        effect = "their protocols differ"
        raise unable(here, there, effect, f"Install OpenCode {there.major} here, or {here.major} there")
    if there < API_SINCE <= here and content_type(API_SAMPLE) == WEB_PAGE:
        effect = "the TUI would end with “Request is not supported by this version of OpenCode Server”"
        raise unable(
            here,
            there,
            effect,
            f"Update OpenCode there: {command_line('npm', 'install', '-g', f'opencode-ai@{here}')}",
        )


def unable(here: Version, there: Version, effect: str, hint: str) -> OpencodeIncompatibleError:
    """Return the error for versions that do not work together."""
    return OpencodeIncompatibleError(
        f"OpenCode {here} on this machine does not work with OpenCode {there} in the environment: {effect}",
        hint=f"{hint}; --print-url connects without the TUI",
    )


def lacking(client: str, server: str, what: str) -> OpencodeIncompatibleError:
    """Return the error for a program here that lacks a feature."""
    return OpencodeIncompatibleError(
        f"OpenCode {client} on this machine {what} (the daemon is OpenCode {server})",
        hint=f"Install the version of the environment: {command_line('npm', 'install', '-g', f'opencode-ai@{server}')}",
    )


def shortcomings(server: str) -> list[str]:
    """Return what a daemon of this version cannot do, as shown to people."""
    version = parse_version(server)
    if version is None:
        return []
    lacks = []
    if version < METADATA_SINCE:
        lacks.append(f"sessions do not keep their origin ({METADATA_SINCE} does)")
    if refuses_unknown_keys(server):
        lacks.append(f"an opencode.json with environments is rejected ({UNKNOWN_KEYS_SINCE} ignores the key)")
    if version >= SECOND:
        lacks.append("support of OpenCode 2 is untested")
    return lacks


def refuses_unknown_keys(version: str) -> bool:
    """Return whether this version rejects an opencode.json with keys of ocattach."""
    known = parse_version(version)
    return known is not None and known < UNKNOWN_KEYS_SINCE


def keeps_metadata(version: str) -> bool:
    """Return whether a daemon of this version keeps the `metadata` of sessions."""
    known = parse_version(version)
    return known is None or METADATA_SINCE <= known < SECOND


def config_hint(reason: str) -> str:
    """Return the hint for a configuration that OpenCode rejects for this reason."""
    if "environments" in reason:
        return (
            f"OpenCode before {UNKNOWN_KEYS_SINCE} rejects this key: "
            "move it into .opencode/ocattach.json, or update OpenCode there"
        )
    return "Correct the file, and connect again"


def tui_argv(program: str, version: str, tui: Tui) -> list[str]:
    """Return the command of the TUI. The password is not in it: see `credentials`."""
    if is_second(version):
        argv = [program, "--server", tui.url, *([tui.directory] if tui.directory else [])]
    else:
        argv = [program, "attach", tui.url, *(["--dir", tui.directory] if tui.directory else [])]
    argv += ["-s", tui.session] if tui.session else []
    argv += ["-c"] if tui.continue_last else []
    argv += ["--fork"] if tui.fork else []
    return [*argv, *tui.more]


CREDENTIALS = ("OPENCODE_SERVER_USERNAME", "OPENCODE_SERVER_PASSWORD", "OPENCODE_PASSWORD")


def credentials(version: str, *, username: str, password: str) -> Mapping[str, str]:
    """Return the variables with the credentials of a TUI. Version 2 always uses the name "opencode"."""
    if not password:
        return {}
    if is_second(version):
        return {"OPENCODE_PASSWORD": password}
    return {"OPENCODE_SERVER_PASSWORD": password, "OPENCODE_SERVER_USERNAME": username}
