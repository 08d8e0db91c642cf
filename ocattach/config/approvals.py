"""Definitions of project files matched with the approvals of the user, for `ocattach trust`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ocattach.config.files.entry import Entry
from ocattach.config.project import file_definitions, project_definitions
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import Approval, TrustLedger, digest, name, project

ApprovalState = Literal["new", "approved", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that is in a file, was approved, or both."""

    name: str
    path: Path
    """The file that has or had it."""

    spec: ConnectionSpec | None
    """The current definition; None if it is gone or invalid."""

    approval: Approval | None

    @property
    def definition(self) -> Entry | None:
        """The approved content, if it was recorded."""
        return self.approval.definition if self.approval else None

    @property
    def state(self) -> ApprovalState:
        """How the current definition compares to the approved one."""
        if self.spec is None:
            return "gone"
        if self.approval is None:
            return "new"
        return "approved" if self.approval.digest == digest(self.spec) else "changed"


def definitions(cwd: Path) -> list[Definition]:
    """The valid definitions of project files seen from a directory, including hidden ones."""
    specs = [item for item in project_definitions(cwd) if isinstance(item, ConnectionSpec)]
    return [Definition(name(spec), project(spec), spec, None) for spec in specs]


def listed_definitions(cwd: Path, ledger: TrustLedger) -> list[Definition]:
    """The definitions seen from a directory with their approvals, then all other approvals."""
    approvals = {(approval.path, approval.name): approval for approval in ledger.approvals()}
    here = [replace(each, approval=approvals.pop((each.path, each.name), None)) for each in definitions(cwd)]
    others = []
    for approval in approvals.values():
        specs = (item for item in file_definitions(approval.path) if isinstance(item, ConnectionSpec))
        current = next((spec for spec in specs if spec.name == approval.name), None)
        others.append(Definition(approval.name, approval.path, current, approval))
    return here + others
