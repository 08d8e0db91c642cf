"""All connections that there are, as places where sessions can be: `local` is always among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import Problem
from ocattach.config.resolver import LOCAL, list_connections, this_machine
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import TrustLedger, may_be_used
from ocattach.errors import ConfigurationError, NotTrustedError
from ocattach.survey.entry import Entry


@dataclass(frozen=True, slots=True)
class Everywhere:
    """The connections, and the files that could not be read."""

    entries: tuple[Entry, ...]
    problems: Sequence[Problem]

    @property
    def specs(self) -> list[ConnectionSpec]:
        """The connections alone."""
        return [entry.spec for entry in self.entries]


def everywhere(*, cwd: Path, environ: Mapping[str, str]) -> Everywhere:
    """Every connection that can be named from a directory, and this machine. Each is pinned, as links know it.

    It is not given the directory: where sessions came from does not depend on where one is.
    """
    listing = list_connections(cwd=cwd, environ=environ)
    specs = [listed.spec.pinned(environ) for listed in listing.connections]
    if all(spec.name != LOCAL for spec in specs):
        specs.append(this_machine())
    ledger = TrustLedger(state_directory(environ))
    return Everywhere(tuple(Entry(spec, refusal(spec, ledger, environ)) for spec in specs), listing.problems)


def refusal(spec: ConnectionSpec, ledger: TrustLedger, environ: Mapping[str, str]) -> NotTrustedError | None:
    """Why a connection may not be used before the user has looked at it; None where it may."""
    try:
        if may_be_used(spec, ledger, environ):
            return None
    except ConfigurationError as error:
        return NotTrustedError(error.message, hint=error.hint)
    return NotTrustedError(
        f"{spec.source.path} defines it, which you have not approved",
        hint=f"Look at it and approve it: ocattach {spec.name}",
    )
