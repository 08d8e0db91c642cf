"""`ocattach trust`: list, approve and revoke definitions of project files."""

import json
import os
from typing import Any

import click

from ocattach.cli.amounts import ago
from ocattach.cli.approval import approved, ask, differences, show
from ocattach.cli.command import Command, output_option
from ocattach.cli.output import print_json, report
from ocattach.cli.tables import file_name, print_table
from ocattach.cli.target import connection_argument
from ocattach.cli.terminal import has_terminal, say
from ocattach.config.approvals import Definition, definitions, listed_definitions
from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.project import find_in_project
from ocattach.config.resolver import list_connections, not_found
from ocattach.config.saved import SavedConnections
from ocattach.config.trust import TrustLedger, digest, project
from ocattach.config.variables import working_directory
from ocattach.errors import UsageError
from ocattach.printable import command_line

EXAMPLES = """
ocattach trust                     list project definitions and their approval
ocattach trust frontend            review a definition and approve it
ocattach trust --list frontend     review it without approving
ocattach trust --revoke frontend   revoke the approval
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("name", "[NAME]", required=False)
@click.option("--list", "list_", is_flag=True, help="List definitions and their approval; approves nothing.")
@click.option("--revoke", is_flag=True, help="Revoke the approval of NAME.")
@output_option
def trust(name: str | None, *, list_: bool, revoke: bool, output: str) -> None:
    """Approve connections that a project defines, or revoke the approval."""
    ledger = TrustLedger(state_directory(os.environ))
    if list_ and revoke:
        raise UsageError("--list and --revoke cannot be used together")
    if revoke:
        take_back(ledger, name, output)
    elif name is None or list_:
        show_definitions(ledger, name, output)
    else:
        approve(ledger, name, output)


def approve(ledger: TrustLedger, name: str, output: str) -> None:
    """Approve a definition: after a question on a terminal, at once without one."""
    spec = find_in_project(name, working_directory())
    if spec is None:
        raise no_definition(name)
    if not ledger.is_trusted(spec):
        if has_terminal():
            ask(spec, ledger.approval(spec))
        else:
            show(spec, ledger.approval(spec))
        ledger.trust(spec)
    report(
        approved(spec),
        {"trusted": definition_json(Definition(name, project(spec), spec, ledger.approval(spec)))},
        output=output,
    )


def no_definition(name: str) -> Exception:
    """The error for a name that no project file defines."""
    saved = SavedConnections(config_directory(os.environ))
    if name in saved.names():
        return UsageError(
            f"{name} is saved by you ({saved.path(name)}) and needs no approval",
            hint=f"To use it: {command_line('ocattach', name)}",
        )
    return not_found(name, list_connections(cwd=working_directory(), environ=os.environ))


def take_back(ledger: TrustLedger, name: str | None, output: str) -> None:
    """Revoke approvals of a name: of project files seen from here, else of all files."""
    if name is None:
        raise UsageError("--revoke requires a NAME", hint="List approvals: ocattach trust --list")
    named = [approval for approval in ledger.approvals() if approval.name == name]
    here = {found.path for found in definitions(working_directory())}
    revoked = [approval for approval in named if approval.path in here] or named
    for approval in revoked:
        ledger.revoke(approval.path, approval.name)
    text = "\n".join(f"Revoked the approval of {name} of {approval.path}" for approval in revoked)
    record = [{"name": approval.name, "path": str(approval.path)} for approval in revoked]
    report(text or f"{name} was not approved", {"revoked": record}, output=output)


def show_definitions(ledger: TrustLedger, name: str | None, output: str) -> None:
    """Print the definitions seen from here, and all others that were approved."""
    found = [each for each in listed_definitions(working_directory(), ledger) if name in (None, each.name)]
    if name is not None and not found:
        raise no_definition(name)
    if output == "json":
        print_json({"definitions": [definition_json(each) for each in found]})
    elif name is not None:
        for each in found:
            if each.spec is not None and each.state != "approved":
                show(each.spec, each.approval)
            else:
                say(f"{name} of {each.path}: {each.state}")
                for _, line in differences(None, each.definition or {}):
                    say(f"    {line}")
    elif found:
        print_definitions(found)
    else:
        say("No project definitions here, and no approvals")


def print_definitions(found: list[Definition]) -> None:
    """Print the definitions as a table."""
    rows = []
    for each in found:
        target = each.spec.display() if each.spec else ""
        when = ago(each.approval.when) if each.approval and each.approval.when else ""
        rows.append((each.name, each.state, target, file_name(each.path), when))
    titles = ("Name", "State", "Target", "Defined by", "Approved")
    print_table(titles, rows, below={"Target", "Defined by"})


def definition_json(found: Definition) -> dict[str, Any]:
    """A definition as JSON."""
    approval = found.approval
    return {
        "name": found.name,
        "path": str(found.path),
        "state": found.state,
        "uri": found.spec.display() if found.spec else None,
        "hash": f"sha256:{digest(found.spec)}" if found.spec else None,
        "definition": json.loads(found.spec.source.definition) if found.spec else None,
        "approved": None
        if approval is None
        else {"hash": f"sha256:{approval.digest}", "definition": approval.definition, "time": approval.when},
    }
