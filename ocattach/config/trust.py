"""Which definitions of project files the user has approved.

Approved is the content, in one file, under one name: what changes or turns up elsewhere is asked about again.
The ledger is in the user's own state directory, where nothing that a project holds can reach it.
"""

import json
from hashlib import sha256
from pathlib import Path

from ocattach.config.entry import Entry, as_table, table
from ocattach.config.files import locked, read_text, write_text
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConfigurationError, UsageError

SCHEMA = 1
PROJECTS = "projects"
DIGEST = "sha256"


class TrustLedger:
    """The approvals of one user."""

    def __init__(self, state_directory: Path) -> None:
        self.path = state_directory / "trust.json"

    def is_trusted(self, spec: ConnectionSpec) -> bool:
        """Whether a connection may be used: it is the user's own, or the user has approved the project's."""
        if spec.source.kind != "project":
            return True
        approved = table(self._read(), project(spec)) or {}
        record = table(approved, name(spec)) or {}
        return record.get(DIGEST) == digest(spec)

    def trust(self, spec: ConnectionSpec) -> None:
        """Approve a project's definition as it now stands."""
        self._write(spec, {DIGEST: digest(spec)})

    def revoke(self, spec: ConnectionSpec) -> None:
        """Take the approval back; without one this is harmless."""
        self._write(spec, None)

    def _write(self, spec: ConnectionSpec, record: Entry | None) -> None:
        with locked(self.path.parent):
            projects = {path: dict(as_table(names, path)) for path, names in self._read().items()}
            names = projects.setdefault(project(spec), {})
            names.pop(name(spec), None)
            if record is not None:
                names[name(spec)] = record
            remaining = {path: names for path, names in projects.items() if names}
            write_text(self.path, json.dumps({"schema": SCHEMA, PROJECTS: remaining}, indent=2))

    def _read(self) -> Entry:
        """The approvals by file; a ledger that cannot be read approves nothing, and says so."""
        text = read_text(self.path)
        if text is None:
            return {}
        try:
            document = as_table(json.loads(text), "the file")
            if document.get("schema") != SCHEMA:
                raise UsageError("it was written by another version of ocattach")  # noqa: TRY301
            return table(document, PROJECTS) or {}
        except (ValueError, RecursionError, UsageError) as error:
            raise ConfigurationError(
                f"{self.path} cannot be read: {error}", hint=f"Approve anew after: rm {self.path}"
            ) from error


def digest(spec: ConnectionSpec) -> str:
    """The hash of what the project's file says, whatever the user has typed on top of it."""
    return sha256(spec.source.definition.encode()).hexdigest()


def project(spec: ConnectionSpec) -> str:
    """The file a definition stands in; its directory is the real one."""
    if spec.source.kind != "project" or spec.source.path is None:
        raise ValueError(spec)
    return str(spec.source.path)


def name(spec: ConnectionSpec) -> str:
    """The name a definition stands under."""
    if spec.name is None:
        raise ValueError(spec)
    return spec.name
