"""The files of a project that may define connections: finds them, reads them, and names lines in errors."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ocattach.config.files.entry import Entry, as_table, refuse_unknown_keys, shown, table
from ocattach.config.files.jsonc import Lines, parse
from ocattach.config.files.ownership import check_ownership, is_foreign_tree
from ocattach.config.files.safe import read_text, read_with_status
from ocattach.errors import ConfigurationError, UsageError
from ocattach.printable import command_line

OUR_FILES = (".opencode/ocattach.json", ".opencode/ocattach.jsonc")
OPENCODE_FILES = ("opencode.json", "opencode.jsonc")
KEY, DEFAULT = "environments", "default"
EXPERIMENTAL = "experimental"
LONGEST_TEXT = 500
"""How many characters of a message about a file are shown."""


def project_files(cwd: Path) -> Iterator[Path]:
    """The files that may define connections seen from a directory, the nearest first. They need not exist."""
    for directory in project_directories(cwd):
        for name in (*OUR_FILES, *OPENCODE_FILES):
            yield directory / name


def project_directories(cwd: Path) -> list[Path]:
    """The working directory and its parents up to the root of the git tree.

    Outside a git tree only the working directory, since parents such as /tmp may belong to other users. A tree that git
    would refuse, because another user made it, is none.
    """
    start, root = Path(os.path.realpath(cwd)), git_root(cwd)
    if root is None or is_foreign_tree(root):
        return [start]
    return [each for each in (start, *start.parents) if each.is_relative_to(root)]


def git_root(cwd: Path) -> Path | None:
    """The nearest directory with a `.git`; None if there is none."""
    start = Path(os.path.realpath(cwd))
    return next((each for each in (start, *start.parents) if os.path.lexists(each / ".git")), None)


def foreign_tree(root: Path) -> ConfigurationError:
    """The note about a git tree that is ignored."""
    return ConfigurationError(
        f"{root}/.git belongs to another user, so definitions above the working directory are ignored",
        hint="To use them: " + command_line("git", "config", "--global", "--add", "safe.directory", root),
    )


class ProjectFile(NamedTuple):
    """A file that another account could not have written."""

    environments: Entry
    """The names and entries, not yet validated."""

    default: object
    """The value of `default`, not yet validated; None if absent."""

    lines: Lines


def read_file(path: Path) -> ProjectFile | None:
    """Read a file; None if it does not exist. Raises ConfigurationError for one that cannot be used."""
    lines = None
    try:
        found = read_with_status(path)
        if found is None:
            return None
        text, status = found
        document = read_document(text)
        lines = Lines(text)
        environments, default = read_keys(document, path)
        if environments or default is not None:
            check_ownership(path, status, project_directories(path.parent))
    except UsageError as error:
        raise located(error, path, lines) from error
    return ProjectFile(environments, default, lines)


def read_keys(document: Entry, path: Path) -> tuple[Entry, object]:
    """The values of `environments` and `default` in a file."""
    if path.name not in OPENCODE_FILES:
        refuse_unknown_keys(document, ("$schema", KEY, DEFAULT), "the file")
        return table(document, KEY) or {}, document.get(DEFAULT)
    # `experimental` is an object in which every version of OpenCode tolerates unknown keys.
    inner = document.get(EXPERIMENTAL)
    experimental = inner if isinstance(inner, dict) else {}
    environments = {**(table(experimental, KEY) or {}), **(table(document, KEY) or {})}
    return environments, document.get(DEFAULT, experimental.get(DEFAULT))


def read_document(text: str) -> Entry:
    """Parse a file that holds a JSON object."""
    try:
        return as_table(parse(text), "the file")
    except ValueError as error:
        raise UsageError(f"invalid JSON: {error}") from error


def unknown_keys(path: Path) -> list[str]:
    """The keys of ours in a file of OpenCode, which old versions reject as unknown."""
    if path.name not in OPENCODE_FILES:
        return []
    document = read_document(read_text(path) or "{}")
    return [key for key in (KEY, DEFAULT) if key in document]


def located(
    error: UsageError, path: Path, lines: Lines | None, name: str | None = None, entry: object = None
) -> ConfigurationError:
    """The error with file, line and connection in front of its message; `lines` is None if it is not JSON."""
    if isinstance(error, ConfigurationError):
        return error
    line = None if lines is None else line_of_error(error, lines, name, entry)
    place = str(path) if line is None else f"{path}:{line}"
    where = place if name is None else f"{place}: {KEY}: {clipped(shown(name))}"
    return ConfigurationError(f"{where}: {clipped(error.message)}", hint=clipped(error.hint))


def clipped(text: str) -> str:
    """The beginning of a text of the file, which may be as long as that."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def line_of_error(error: UsageError, lines: Lines, name: str | None, entry: object) -> int | None:
    """The line of the wrong key, else of the connection.

    The key is `error.key`, else the first word of its message (see `entry`).
    """
    first = error.key or error.message.partition(" ")[0].rstrip(":")
    if name is None:
        return lines.line((first,))
    nested = (
        [key for key, value in entry.items() if isinstance(value, dict)] if isinstance(entry, dict) else []
    )
    inner = [(first,), *((key, first) for key in nested), ()]
    candidates = [(*top, KEY, name, *keys) for keys in inner for top in ((), (EXPERIMENTAL,))]
    return next((line for keys in candidates if (line := lines.line(keys))), None)
