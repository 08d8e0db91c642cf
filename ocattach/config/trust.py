"""Which definitions of project files the user has approved.

An approval is for the content of one definition in one file under one name; a changed name or content needs a new one.
The ledger is in the state directory of the user, outside of any project.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ocattach.config.files.entry import Entry, as_table, number, table
from ocattach.config.files.owner import read_own_text
from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import locked, write_text
from ocattach.config.spec import ConnectionSpec, canonical
from ocattach.errors import ConfigurationError, UsageError
from ocattach.printable import command_line

SCHEMA = 2

PROJECTS = "projects"
DEFINITION = "definition"
WHEN = "approved"

VARIABLE = "OCATTACH_TRUST"
APPROVED_HASH = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Approval:
    """An approved definition."""

    path: Path
    name: str

    definition: Entry
    when: int | None
    """In seconds since the epoch."""

    @property
    def digest(self) -> str:
        """The hash of what was approved."""
        return digest_of(self.name, canonical(self.definition))


class TrustLedger:
    """The approvals of one user."""

    def __init__(self, state_directory: Path) -> None:
        self.path = state_directory / "trust.json"

    def is_trusted(self, spec: ConnectionSpec) -> bool:
        """Whether a connection is not from a project file, or its definition is approved."""
        if spec.source.kind != "project":
            return True
        found = self.approval(spec)
        return found is not None and found.digest == digest(spec)

    def approval(self, spec: ConnectionSpec) -> Approval | None:
        """The approval for the file and name of a connection, current or not; None without one."""
        place, called = project(spec), name(spec)
        return next((each for each in self.approvals() if (each.path, each.name) == (place, called)), None)

    def approvals(self) -> list[Approval]:
        """All approvals, including those of removed definitions. Raises ConfigurationError for a damaged ledger."""
        try:
            return [
                Approval(
                    Path(path), called, as_table(record.get(DEFINITION), DEFINITION), number(record, WHEN)
                )
                for path, records in self._read().items()
                for called, value in as_table(records, path).items()
                for record in [as_table(value, called)]
            ]
        except ConfigurationError:
            raise
        except UsageError as error:
            raise self._damaged(error) from error

    def trust(self, spec: ConnectionSpec) -> None:
        """Approve the current definition of a connection."""
        record = {DEFINITION: json.loads(spec.source.definition), WHEN: int(time.time())}
        self._write(project(spec), name(spec), record)

    def revoke(self, path: Path, called: str) -> None:
        """Revoke the approval of a definition; does nothing without one."""
        self._write(path, called, None)

    def _write(self, path: Path, called: str, record: Entry | None) -> None:
        with locked(self.path.parent):
            self.approvals()  # do not overwrite a damaged ledger
            projects = {place: dict(as_table(names, place)) for place, names in self._read().items()}
            names = projects.setdefault(str(path), {})
            names.pop(called, None)
            if record is not None:
                names[called] = record
            remaining = {place: names for place, names in projects.items() if names}
            write_text(self.path, json.dumps({"schema": SCHEMA, PROJECTS: remaining}, indent=2))

    def _read(self) -> Entry:
        """The approvals by file. Raises ConfigurationError for a ledger that is invalid or that others can write."""
        found = read_own_text(self.path)
        if found is None:
            return {}
        try:
            document = as_table(json.loads(found), "the file")
            if document.get("schema") != SCHEMA:
                raise UsageError("written by another version of ocattach")  # noqa: TRY301
            return table(document, PROJECTS) or {}
        except (ValueError, RecursionError, UsageError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} cannot be read: {error}",
            hint=f"To discard all approvals: {command_line('rm', self.path)}",
        )


def may_be_used(spec: ConnectionSpec, environ: Mapping[str, str]) -> bool:
    """Whether a connection may be used without a question. Raises what `is_approved_by_variable` raises."""
    return TrustLedger(state_directory(environ)).is_trusted(spec) or is_approved_by_variable(spec, environ)


def is_approved_by_variable(spec: ConnectionSpec, environ: Mapping[str, str]) -> bool:
    """Whether the variable OCATTACH_TRUST, for CI, has the hash of a project's definition.

    Only hashes are accepted, each of a name and its content: a path or name would also approve changed content.
    Raises UsageError for others.
    """
    words = environ.get(VARIABLE, "").replace(",", " ").split()
    for word in words:
        if not APPROVED_HASH.fullmatch(word):
            raise UsageError(
                f"{VARIABLE} contains {word!r}, which is not a hash of a definition",
                hint="Use hashes (sha256:…), as shown by: ocattach trust --list -o json",
            )
    return f"sha256:{digest(spec)}" in words


def digest(spec: ConnectionSpec) -> str:
    """The hash of a project's definition, without typed options."""
    return digest_of(name(spec), spec.source.definition)


def digest_of(called: str, definition: str) -> str:
    """The hash of a name and a definition in canonical JSON: the same content under another name is another one."""
    return sha256(f"{called}\n{definition}".encode()).hexdigest()


def project(spec: ConnectionSpec) -> Path:
    """The file of a definition, with symbolic links of its directory resolved."""
    if spec.source.kind != "project" or spec.source.path is None:
        raise ValueError(spec)
    return spec.source.path


def name(spec: ConnectionSpec) -> str:
    """The name of a definition."""
    if spec.name is None:
        raise ValueError(spec)
    return spec.name
