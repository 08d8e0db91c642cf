"""Environments that a team defines in files of its project.

Others write these files: what they may not set is refused here, and the rest is used only once it is trusted.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ocattach.config import jsonc
from ocattach.config.entry import Entry, as_table, refuse_unknown_keys, table
from ocattach.config.files import Problem, read_text
from ocattach.config.names import check_name
from ocattach.config.spec import ConnectionSpec, Source, canonical
from ocattach.errors import ConfigurationError, UsageError

OUR_FILES = (".opencode/ocattach.json", ".opencode/ocattach.jsonc")
OPENCODE_FILES = ("opencode.json", "opencode.jsonc")
KEY = "environments"
EXPERIMENTAL = "experimental"


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
    try:
        environments = read_environments(path)
    except UsageError as error:
        yield Problem(path, None, located(error, path))
        return
    for name, entry in environments.items():
        try:
            yield definition(name, entry, path)
        except UsageError as error:
            yield Problem(path, name, located(error, path, name))


def read_environments(path: Path) -> Entry:
    """The names and entries in one file, not yet looked at."""
    text = read_text(path)
    if text is None:
        return {}
    try:
        document = as_table(jsonc.parse(text), "the file")
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}") from error
    if path.name in OPENCODE_FILES:
        experimental = document.get(EXPERIMENTAL)
        inner = experimental if isinstance(experimental, dict) else {}
        return {**(table(inner, KEY) or {}), **(table(document, KEY) or {})}
    refuse_unknown_keys(document, ("$schema", KEY), "the file")
    return table(document, KEY) or {}


def definition(name: str, value: object, path: Path) -> ConnectionSpec:
    """One environment of a project's file."""
    check_name(name)
    entry = as_table(value, "the environment")
    spec = ConnectionSpec.from_entry(entry, name=name)
    for key in entry:
        if key in spec.target.user_only_keys:
            raise UsageError(
                f"{key} cannot be set by a project's file",
                hint=f"Leave {key} out, and save a connection of your own: ocattach --save {name} URI",
            )
    source = Source("project", path, canonical(spec.to_entry()))
    return ConnectionSpec.from_entry(entry, name=name, source=source)


def located(error: UsageError, path: Path, name: str | None = None) -> ConfigurationError:
    """The error with the file, and the environment in it, in front."""
    if isinstance(error, ConfigurationError):
        return error
    place = str(path) if name is None else f"{path}: {KEY}: {name}"
    return ConfigurationError(f"{place}: {error.message}", hint=error.hint)
