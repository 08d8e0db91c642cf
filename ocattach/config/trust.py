"""Which definitions of project files the user has approved.

Approved is the content, in one file, under one name: what changes or turns up elsewhere is asked about again.
The ledger is in the user's own state directory, where nothing that a project holds can reach it.
"""

import json
import os
import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ocattach.config.files.entry import Entry, as_table, number, table, text
from ocattach.config.files.ownership import reason
from ocattach.config.files.safe import locked, read_with_status, write_text
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConfigurationError, UsageError

SCHEMA = 2
READABLE = (1, SCHEMA)
"""1 kept no more than the hashes: what changed since such an approval cannot be shown."""

PROJECTS = "projects"
DIGEST = "sha256"
DEFINITION = "definition"
WHEN = "approved"

VARIABLE = "OCATTACH_TRUST"
PINNED = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Approval:
    """A definition as the user has approved it."""

    path: Path
    name: str
    digest: str

    definition: Entry | None
    """What was approved; None where only its hash was kept."""

    when: int | None
    """In seconds since 1970."""


class TrustLedger:
    """The approvals of one user."""

    def __init__(self, state_directory: Path) -> None:
        self.path = state_directory / "trust.json"

    def is_trusted(self, spec: ConnectionSpec) -> bool:
        """Whether a connection may be used: it is the user's own, or the user has approved the project's."""
        if spec.source.kind != "project":
            return True
        found = self.approval(spec)
        return found is not None and found.digest == digest(spec)

    def approval(self, spec: ConnectionSpec) -> Approval | None:
        """What the user has approved in that file under that name, whether it still stands there or not."""
        place, called = project(spec), name(spec)
        return next((each for each in self.approvals() if (each.path, each.name) == (place, called)), None)

    def approvals(self) -> list[Approval]:
        """Every approval, also of what is no longer there. Raises ConfigurationError for a damaged ledger."""
        try:
            return [
                Approval(
                    Path(path),
                    called,
                    text(record, DIGEST) or "",
                    table(record, DEFINITION),
                    number(record, WHEN),
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
        """Approve a project's definition as it now stands."""
        record = {
            DIGEST: digest(spec),
            DEFINITION: json.loads(spec.source.definition),
            WHEN: int(time.time()),
        }
        self._write(project(spec), name(spec), record)

    def revoke(self, path: Path, called: str) -> None:
        """Take the approval of a file's definition back; without one this is harmless."""
        self._write(path, called, None)

    def _write(self, path: Path, called: str, record: Entry | None) -> None:
        with locked(self.path.parent):
            self.approvals()  # each can be read, or nothing is written
            projects = {place: dict(as_table(names, place)) for place, names in self._read().items()}
            names = projects.setdefault(str(path), {})
            names.pop(called, None)
            if record is not None:
                names[called] = record
            remaining = {place: names for place, names in projects.items() if names}
            write_text(self.path, json.dumps({"schema": SCHEMA, PROJECTS: remaining}, indent=2))

    def _read(self) -> Entry:
        """The approvals by file; a ledger that cannot be read approves nothing, and says so."""
        found = read_with_status(self.path)
        if found is None:
            return {}
        content, status = found
        for place, seen in ((self.path, status), (self.path.parent, self.path.parent.stat())):
            if problem := reason(seen, os.environ):
                raise ConfigurationError(
                    f"{place} {problem[0]}: what it says of your approvals does not count",
                    hint=f"{problem[1]} {shlex.quote(str(place))}",
                )
        try:
            document = as_table(json.loads(content), "the file")
            if document.get("schema") not in READABLE:
                raise UsageError("it was written by another version of ocattach")  # noqa: TRY301
            return table(document, PROJECTS) or {}
        except (ValueError, RecursionError, UsageError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} cannot be read: {error}",
            hint=f"Approve anew after: rm {shlex.quote(str(self.path))}",
        )


def may_be_used(spec: ConnectionSpec, ledger: TrustLedger, environ: Mapping[str, str]) -> bool:
    """Whether a connection may be used without a question. Raises what `is_pinned` raises."""
    return ledger.is_trusted(spec) or is_pinned(spec, environ)


def is_pinned(spec: ConnectionSpec, environ: Mapping[str, str]) -> bool:
    """Whether the variable for CI names a project's definition by its content.

    It names hashes and nothing else: neither a path nor a name says what would be run once a file has changed.
    Raises UsageError where it holds anything else.
    """
    words = environ.get(VARIABLE, "").replace(",", " ").split()
    for word in words:
        if not PINNED.fullmatch(word):
            raise UsageError(
                f"{VARIABLE} has {word!r}, which is no hash of a definition",
                hint="It holds hashes, as `ocattach trust --list -o json` shows them: sha256:…",
            )
    return f"sha256:{digest(spec)}" in words


def digest(spec: ConnectionSpec) -> str:
    """The hash of what the project's file says, whatever the user has typed on top of it."""
    return sha256(spec.source.definition.encode()).hexdigest()


def project(spec: ConnectionSpec) -> Path:
    """The file a definition stands in; its directory is the real one."""
    if spec.source.kind != "project" or spec.source.path is None:
        raise ValueError(spec)
    return spec.source.path


def name(spec: ConnectionSpec) -> str:
    """The name a definition stands under."""
    if spec.name is None:
        raise ValueError(spec)
    return spec.name
