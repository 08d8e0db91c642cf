"""From a name or a URI to the connection that is meant.

What is typed counts more than what the user has saved, and that more than what a project defines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.files.safe import Problem
from ocattach.config.names import is_name
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec
from ocattach.config.suggestion import closest
from ocattach.config.targets.uri import is_uri, parse_uri
from ocattach.errors import ConnectionNotFoundError, UsageError

LOCAL = "local"
"""The name of this machine, where nobody has given it to anything else."""


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """A connection as a list shows it."""

    spec: ConnectionSpec

    hides: tuple[ConnectionSpec, ...] = ()
    """Definitions of the same name that do not count, because this one does."""

    last_used: float | None = None
    """In seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Every connection that can be named, and what could not be read."""

    connections: tuple[ListedConnection, ...]
    problems: tuple[Problem, ...]


def resolve(argument: str, *, cwd: Path, environ: Mapping[str, str]) -> ConnectionSpec:
    """The connection that a name or a URI means, seen from a directory.

    Raises InvalidURIError, ConfigurationError for a file that would have to be read and cannot be,
    and ConnectionNotFoundError with near names.
    """
    if is_uri(argument):
        parsed = parse_uri(argument)
        return ConnectionSpec(target=parsed.target, workdir=parsed.workdir)
    if not is_name(argument):
        raise UsageError(
            f"{argument!r} is neither a connection's name nor a URI",
            hint="A URI looks like docker://NAME:/DIR",
        )
    saved = SavedConnections(config_directory(environ))
    spec = saved.find(argument) or in_project(argument, cwd)
    if spec is None and argument == LOCAL:
        return this_machine()
    if spec is None:
        raise not_found(argument, list_connections(cwd=cwd, environ=environ))
    return spec


def this_machine() -> ConnectionSpec:
    """The connection that everybody has."""
    return ConnectionSpec(target=parse_uri("local://").target, name=LOCAL)


def list_connections(*, cwd: Path, environ: Mapping[str, str]) -> Listing:
    """Every connection that can be named from a directory, by name; what cannot be used is a problem."""
    from ocattach.config.last_used import last_used  # noqa: PLC0415 - a saved name needs none of it
    from ocattach.config.project import project_definitions  # noqa: PLC0415 - a saved name needs none of it

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


def remove_connection(name: str, *, cwd: Path, environ: Mapping[str, str]) -> None:
    """Remove a saved connection; for one that only a project defines, say where it stands."""
    saved = SavedConnections(config_directory(environ))
    if name not in saved.names():
        spec = in_project(name, cwd)
        if spec is not None:
            raise UsageError(
                f"{name} is not saved; {spec.source.path} defines it",
                hint="Edit that file, or leave the directory",
            )
    saved.remove(name)


def in_project(name: str, cwd: Path) -> ConnectionSpec | None:
    """A project's definition of a name."""
    from ocattach.config.project import find_in_project  # noqa: PLC0415 - a saved name needs none of it

    return find_in_project(name, cwd)


def not_found(name: str, listing: Listing) -> ConnectionNotFoundError:
    """The error for a name that means nothing."""
    near = closest(name, [listed.spec.name for listed in listing.connections if listed.spec.name])
    question = f"Did you mean {' or '.join(near)}? " if near else ""
    return ConnectionNotFoundError(
        f"No connection is named {name}", hint=f"{question}All are listed by: ocattach --list"
    )
