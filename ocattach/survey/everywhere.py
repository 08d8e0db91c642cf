"""All connections that can be named from a directory, and whether each may be queried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.files.safe import Problem
from ocattach.config.names import LOCAL
from ocattach.config.resolver import list_connections, this_machine
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import may_be_used
from ocattach.errors import ConfigurationError, NotTrustedError, UsageError
from ocattach.printable import command_line


@dataclass(frozen=True, slots=True)
class SurveyedConnection:
    """A connection whose environment is to be queried."""

    spec: ConnectionSpec
    """Settled, as links use it."""

    refusal: NotTrustedError | None = None
    """Why its environment must not be queried."""


@dataclass(frozen=True, slots=True)
class AllConnections:
    """The connections, and the files that could not be read."""

    entries: tuple[SurveyedConnection, ...]
    problems: Sequence[Problem]

    @property
    def specs(self) -> list[ConnectionSpec]:
        """The connections without their refusals."""
        return [entry.spec for entry in self.entries]


def pinned(spec: ConnectionSpec, environ: Mapping[str, str]) -> ConnectionSpec:
    """Return the pinned connection; unchanged if a setting of this machine is invalid, which its query reports."""
    try:
        return spec.pinned(environ)
    except UsageError:
        return spec


def everywhere(*, cwd: Path, environ: Mapping[str, str]) -> AllConnections:
    """Return every connection that can be named from a directory, settled; `local` is always among them.

    No default working directory is set: which sessions a connection has does not depend on the current directory.
    """
    listing = list_connections(cwd=cwd, environ=environ)
    specs = [pinned(listed.spec, environ) for listed in listing.connections]
    if all(spec.name != LOCAL for spec in specs):
        specs.append(this_machine())
    entries = tuple(SurveyedConnection(spec, refusal(spec, environ)) for spec in specs)
    return AllConnections(entries, listing.problems)


def refusal(spec: ConnectionSpec, environ: Mapping[str, str]) -> NotTrustedError | None:
    """Return why a connection may not be used before the user approves it; None if it may."""
    try:
        if may_be_used(spec, environ):
            return None
    except ConfigurationError as error:
        return NotTrustedError(error.message, hint=error.hint)
    return NotTrustedError(
        f"Defined by {spec.source.path}, which you have not approved",
        hint=f"Review and approve it: {command_line('ocattach', spec.name)}",
    )
