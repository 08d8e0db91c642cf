"""Resolves a name or URI to a connection.

A URI takes precedence, then saved connections, then definitions of the project.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.files.safe import Problem
from ocattach.config.last_used import last_used
from ocattach.config.names import LOCAL, is_name
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec
from ocattach.config.suggestion import LIST_ALL, question
from ocattach.config.targets.uri import is_uri, parse_uri
from ocattach.errors import ConnectionNotFoundError, UsageError
from ocattach.printable import command_line


class ListedConnection(NamedTuple):
    """A connection with what `ocattach --list` shows about it."""

    spec: ConnectionSpec

    hides: tuple[ConnectionSpec, ...] = ()
    """Definitions of the same name that this one hides."""

    last_used: float | None = None
    """In seconds since the epoch; None for never."""


class Listing(NamedTuple):
    """All connections that can be named, and problems in files."""

    connections: tuple[ListedConnection, ...]
    problems: tuple[Problem, ...]


def resolve(argument: str, *, cwd: Path, environ: Mapping[str, str]) -> ConnectionSpec:
    """The connection of a name or URI, seen from a directory.

    Raises InvalidURIError, ConfigurationError for a file or definition that is needed and invalid, and
    ConnectionNotFoundError with similar names.
    """
    if is_uri(argument):
        return ConnectionSpec.from_uri(argument, cwd)
    if not is_name(argument):
        from ocattach.config.targets.meant import meant_uri  # noqa: PLC0415 - warm

        uri = meant_uri(argument)
        raise UsageError(
            f"{argument!r} is neither a connection name nor a URI",
            hint=f"Did you mean: {command_line('ocattach', uri)}"
            if uri
            else "Example of a URI: docker://NAME:/DIR",
        )
    saved = SavedConnections(config_directory(environ))
    spec = saved.find(argument)
    if spec is None and argument == LOCAL:
        return this_machine()
    spec = spec or in_project(argument, cwd)
    if spec is None:
        raise not_found(argument, list_connections(cwd=cwd, environ=environ))
    return spec


def last_connection(*, cwd: Path, environ: Mapping[str, str]) -> str:
    """The name that was used last. Raises ConnectionNotFoundError if none was."""
    listed = list_connections(cwd=cwd, environ=environ).connections
    names = {LOCAL, *(each.spec.name for each in listed if each.spec.name)}
    used = {name: when for name in names if (when := last_used(name, state_directory(environ)))}
    if not used:
        raise ConnectionNotFoundError("No connection has been used yet", hint=LIST_ALL)
    return max(used, key=lambda name: used[name])


def this_machine() -> ConnectionSpec:
    """The built-in connection to this machine."""
    return ConnectionSpec(target=parse_uri("local://").target, name=LOCAL)


def list_connections(*, cwd: Path, environ: Mapping[str, str]) -> Listing:
    """All connections that can be named from a directory, sorted by name, and problems in files."""
    from ocattach.config.project import project_definitions  # noqa: PLC0415 - warm

    state = state_directory(environ)
    found: dict[str, list[ConnectionSpec | Problem]] = {}
    problems = []
    for item in (*SavedConnections(config_directory(environ)).all(), *project_definitions(cwd)):
        if isinstance(item, Problem):
            problems.append(item)
        if item.name is not None:
            found.setdefault(item.name, []).append(item)
    connections = []
    for name, (first, *others) in sorted(found.items()):
        if isinstance(first, ConnectionSpec):
            hidden = tuple(other for other in others if isinstance(other, ConnectionSpec))
            connections.append(ListedConnection(first, hidden, last_used(name, state)))
    return Listing(tuple(connections), tuple(problems))


def in_project(name: str, cwd: Path) -> ConnectionSpec | None:
    """The definition of a name in the project; see `find_in_project`."""
    from ocattach.config.project import find_in_project  # noqa: PLC0415 - warm

    return find_in_project(name, cwd)


def not_found(name: str, listing: Listing) -> ConnectionNotFoundError:
    """The error for an unknown name, with similar names."""
    names = [listed.spec.name for listed in listing.connections if listed.spec.name]
    notes = "".join(f". {problem.error.message}" for problem in listing.problems if problem.is_note)
    is_first = not names and not listing.problems
    step = (
        f"Save it: {command_line('ocattach', '--save', name, 'docker://CONTAINER:/DIR')}"
        if is_first
        else LIST_ALL
    )
    hint = f"{question(name, [*names, LOCAL])} {step}".lstrip()
    return ConnectionNotFoundError(f"No connection named {name}{notes}", hint=hint)
