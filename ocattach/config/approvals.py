"""How definitions of projects and what the user has approved stand to each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ocattach.config.files.entry import Entry
from ocattach.config.project import file_definitions, project_definitions
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import Approval, TrustLedger, digest

State = Literal["new", "approved", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that stands in a file, or was approved once: at least one of the two is known."""

    spec: ConnectionSpec | None
    """As it stands now; None where it does not, or cannot be used."""

    approval: Approval | None

    @property
    def name(self) -> str:
        """What it is called."""
        return (self.spec.name if self.spec else None) or (self.approval.name if self.approval else "")

    @property
    def path(self) -> Path:
        """The file it stands in, or stood in."""
        return (self.spec.source.path if self.spec else None) or (
            self.approval.path if self.approval else Path()
        )

    @property
    def definition(self) -> Entry | None:
        """What was approved, as far as it is known."""
        return self.approval.definition if self.approval else None

    @property
    def state(self) -> State:
        """Whether it may be used as it stands."""
        if self.spec is None:
            return "gone"
        if self.approval is None:
            return "new"
        return "approved" if self.approval.digest == digest(self.spec) else "changed"


def definitions(cwd: Path) -> list[Definition]:
    """What the project's files define, seen from a directory, the hidden ones too."""
    return [Definition(item, None) for item in project_definitions(cwd) if isinstance(item, ConnectionSpec)]


def listed_definitions(cwd: Path, ledger: TrustLedger) -> list[Definition]:
    """The same with what the user has approved of it, and then whatever else was approved."""
    approvals = {(approval.path, approval.name): approval for approval in ledger.approvals()}
    here = [Definition(each.spec, approvals.pop((each.path, each.name), None)) for each in definitions(cwd)]
    return here + [Definition(standing(approval), approval) for approval in approvals.values()]


def standing(approval: Approval) -> ConnectionSpec | None:
    """A definition as it now stands in its file; None where it can no longer be used."""
    for item in file_definitions(approval.path):
        if isinstance(item, ConnectionSpec) and item.name == approval.name:
            return item
    return None
