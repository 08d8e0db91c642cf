"""Environments that a team defines in files of its project.

Others write these files: what they may not set is refused here, and the rest is used only once it is trusted.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ocattach.config.files import jsonc
from ocattach.config.files.entry import Entry, as_table, refuse_unknown_keys, shown, table
from ocattach.config.files.ownership import check_ownership
from ocattach.config.files.safe import Problem, read_text, read_with_status
from ocattach.config.names import check_name
from ocattach.config.spec import ConnectionSpec, Source, canonical
from ocattach.errors import ConfigurationError, UsageError

OUR_FILES = (".opencode/ocattach.json", ".opencode/ocattach.jsonc")
OPENCODE_FILES = ("opencode.json", "opencode.jsonc")
KEY = "environments"
EXPERIMENTAL = "experimental"

ON_THIS_MACHINE = "it decides what is run on this machine"
WHY_NOT = {
    "allow_plain_password": "your password would go over the network in the clear",
    "ca_file": "it decides whom this machine believes to be the daemon",
    "cert_path": "it decides by which keys of yours you log in",
    "headers": "what is secret does not belong in a file that others read",
    "identity_file": "it decides by which key of yours you log in",
    "password_command": "it is a command of this machine",
}
"""Why a key is the user's own to set."""

IN_SSH_CONFIG = "Where you want it, your own ~/.ssh/config has it: "
NOWHERE = {
    "proxycommand": ("it is a command of this machine", f"{IN_SSH_CONFIG}ProxyCommand"),
    "stricthostkeychecking": ("it decides which hosts are believed", f"{IN_SSH_CONFIG}StrictHostKeyChecking"),
    "userknownhostsfile": ("it decides which hosts are believed", f"{IN_SSH_CONFIG}UserKnownHostsFile"),
    "knownhosts": ("it decides which hosts are believed", f"{IN_SSH_CONFIG}UserKnownHostsFile"),
    "password": (
        "what is secret does not belong in a file that others read",
        "Leave it out, and you are asked for it; for http, password_env can name the variable that holds it",
    ),
}
"""Keys that do not exist, and that people look for: why, and what to do instead."""

SUBSTITUTION = re.compile(r"\{(?:env|file):[^}]*\}")
"""What OpenCode replaces in its own files, before it reads them."""


def project_definitions(cwd: Path) -> Iterator[ConnectionSpec | Problem]:
    """All definitions seen from a directory, the bad ones too; the first of a name is the one that counts.

    Nearer directories come first, and in each our own file before OpenCode's.
    """
    for directory in project_directories(cwd):
        for name in (*OUR_FILES, *OPENCODE_FILES):
            yield from file_definitions(directory / name)


def find_in_project(name: str, cwd: Path) -> ConnectionSpec | None:
    """The definition of a name that counts.

    Raises ConfigurationError where it, or a nearer file that may hold it, cannot be used.
    """
    for item in project_definitions(cwd):
        if isinstance(item, ConnectionSpec):
            if item.name == name:
                return item
        elif item.name in (name, None):
            raise item.error
    return None


def project_directories(cwd: Path) -> list[Path]:
    """The working directory and those above it up to the root of the git tree.

    Outside a git tree the working directory alone: those above, such as /tmp, may belong to anyone.
    """
    start = Path(os.path.realpath(cwd))
    found = []
    for directory in (start, *start.parents):
        found.append(directory)
        if os.path.lexists(directory / ".git"):
            return found
    return [start]


def file_definitions(path: Path) -> Iterator[ConnectionSpec | Problem]:
    """The definitions in one file; none when there is no such file."""
    text = ""
    try:
        found = read_with_status(path)
        if found is None:
            return
        text, status = found
        environments = read_environments(text, path)
        if environments:
            check_ownership(path, status, project_directories(path.parent))
    except UsageError as error:
        yield Problem(path, None, located(error, path, text))
        return
    for name, entry in environments.items():
        try:
            yield definition(name, entry, path)
        except UsageError as error:
            yield Problem(path, name, located(error, path, text, name, entry))


def read_environments(text: str, path: Path) -> Entry:
    """The names and entries in one file, not yet looked at."""
    document = read_document(text)
    if path.name in OPENCODE_FILES:
        return {**(table(experimental(document), KEY) or {}), **(table(document, KEY) or {})}
    refuse_unknown_keys(document, ("$schema", KEY), "the file")
    return table(document, KEY) or {}


def read_document(text: str) -> Entry:
    """The object that a file holds."""
    try:
        return as_table(jsonc.parse(text), "the file")
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}") from error


def experimental(document: Entry) -> Entry:
    """What OpenCode's file has under `experimental`, where every version of it tolerates our key."""
    inner = document.get(EXPERIMENTAL)
    return inner if isinstance(inner, dict) else {}


def definition(name: str, value: object, path: Path) -> ConnectionSpec:
    """One environment of a project's file."""
    check_name(name)
    entry = as_table(value, "the environment")
    refuse_what_is_nowhere(entry)
    spec = ConnectionSpec.from_entry(entry, name=name)
    for key in entry:
        if key in spec.target.user_only_keys:
            raise UsageError(
                f"{key} cannot be set by a project's file: {WHY_NOT.get(key, ON_THIS_MACHINE)}",
                hint=f"Leave {key} out, and save a connection of your own: ocattach --save {name} URI",
            )
    refuse_substitutions(entry)
    source = Source("project", path, canonical(spec.to_entry()))
    return ConnectionSpec.from_entry(entry, name=name, source=source)


def refuse_what_is_nowhere(entry: Entry) -> None:
    """Say why there is no such key, for those that somebody may well try."""
    for key in entry:
        if found := NOWHERE.get(key.replace("_", "").lower()):
            why, hint = found
            raise UsageError(f"{key} cannot be set by a project's file: {why}", hint=hint)


def refuse_substitutions(entry: Entry) -> None:
    """Refuse what OpenCode would put a variable or a file's content in the place of: a project gets neither here."""
    for key, value in entry.items():
        found = SUBSTITUTION.search(canonical(value))
        if found:
            raise UsageError(
                f"{key} has {found[0]}, which stands for nothing here",
                hint="Variables of your own machine are handed to a daemon by their names in forward_env",
            )


def has_unknown_key(path: Path) -> bool:
    """Whether a file has our key where an OpenCode that knows none but its own refuses it."""
    if path.name not in OPENCODE_FILES:
        return False
    return KEY in read_document(read_text(path) or "{}")


def located(
    error: UsageError, path: Path, text: str, name: str | None = None, entry: object = None
) -> ConfigurationError:
    """The error with the file, the line, and the environment in it, in front."""
    if isinstance(error, ConfigurationError):
        return error
    line = line_of_error(error, text, name, entry)
    place = str(path) if line is None else f"{path}:{line}"
    where = place if name is None else f"{place}: {KEY}: {shown(name)}"
    return ConfigurationError(f"{where}: {error.message}", hint=error.hint)


def line_of_error(error: UsageError, text: str, name: str | None, entry: object) -> int | None:
    """The line of the key that is wrong, else that of the environment it belongs to.

    The key is named by the error, or its message begins with it (see `entry`).
    """
    first = error.key or error.message.partition(" ")[0].rstrip(":")
    try:
        if name is None:
            return jsonc.line_of(text, (first,))
        nested = (
            [key for key, value in entry.items() if isinstance(value, dict)]
            if isinstance(entry, dict)
            else []
        )
        inner = [(first,), *((key, first) for key in nested), ()]
        candidates = [(*top, KEY, name, *keys) for keys in inner for top in ((), (EXPERIMENTAL,))]
        return next((line for keys in candidates if (line := jsonc.line_of(text, keys))), None)
    except ValueError:  # no JSON at all, which says its own line
        return None
