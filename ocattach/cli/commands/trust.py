"""`ocattach trust`, and asking the user whether a definition that others wrote may be used."""

import json
import os
from pathlib import Path
from typing import Any

import click

from ocattach.cli.amounts import age
from ocattach.cli.approval import ask, differences, show
from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import print_json, report
from ocattach.cli.terminal import has_terminal, say
from ocattach.config.approvals import Definition, definitions, listed_definitions
from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.project import find_in_project
from ocattach.config.resolver import list_connections, not_found
from ocattach.config.saved import SavedConnections
from ocattach.config.trust import TrustLedger, digest
from ocattach.errors import UsageError

EXAMPLES = """
ocattach trust                     what you have approved, and what there is to approve
ocattach trust frontend            see what it would run, and approve it
ocattach trust --list frontend     see it alone
ocattach trust --revoke frontend   be asked again before it is used
"""


@click.command(
    cls=Command,
    help="Approve the connections that a project defines, or take that back.",
    examples=EXAMPLES,
)
@click.argument("name", required=False, metavar="[NAME]", shell_complete=connection_names)
@click.option(
    "--list", "list_", is_flag=True, help="Show definitions and how you stand to them; approves nothing."
)
@click.option("--revoke", is_flag=True, help="Take the approval of NAME back.")
@output_option
def trust(name: str | None, *, list_: bool, revoke: bool, output: str) -> None:
    """Show, approve or revoke definitions of projects."""
    ledger = TrustLedger(state_directory(os.environ))
    if list_ and revoke:
        raise UsageError("--list and --revoke cannot be asked for at once")
    if revoke:
        take_back(ledger, name, output)
    elif name is None or list_:
        show_definitions(ledger, name, output)
    else:
        approve(ledger, name, output)


def approve(ledger: TrustLedger, name: str, output: str) -> None:
    """Approve a definition: asked at a terminal; without one, typing this is the approval."""
    spec = find_in_project(name, Path.cwd())
    if spec is None:
        raise no_definition(name)
    if not ledger.is_trusted(spec):
        if has_terminal():
            ask(spec, ledger.approval(spec))
        else:
            show(spec, ledger.approval(spec))
        ledger.trust(spec)
    report(
        f"{name} of {spec.source.path} is approved",
        {"trusted": describe(Definition(spec, ledger.approval(spec)))},
        output=output,
    )


def no_definition(name: str) -> Exception:
    """The error for a name that no project's file defines."""
    saved = SavedConnections(config_directory(os.environ))
    if name in saved.names():
        return UsageError(
            f"{name} is your own ({saved.path(name)}), and needs no approval", hint=f"Use it: ocattach {name}"
        )
    return not_found(name, list_connections(cwd=Path.cwd(), environ=os.environ))


def take_back(ledger: TrustLedger, name: str | None, output: str) -> None:
    """Take approvals of a name back: those of the project here, else those of every other."""
    if name is None:
        raise UsageError("--revoke needs a NAME", hint="What you have approved: ocattach trust --list")
    named = [approval for approval in ledger.approvals() if approval.name == name]
    here = {found.path for found in definitions(Path.cwd())}
    revoked = [approval for approval in named if approval.path in here] or named
    for approval in revoked:
        ledger.revoke(approval.path, approval.name)
    told = "\n".join(f"{name} of {approval.path} is no longer approved" for approval in revoked)
    record = [{"name": approval.name, "path": str(approval.path)} for approval in revoked]
    report(told or f"{name} was not approved", {"revoked": record}, output=output)


def show_definitions(ledger: TrustLedger, name: str | None, output: str) -> None:
    """Show the definitions seen from here, and whatever else was approved once."""
    found = [each for each in listed_definitions(Path.cwd(), ledger) if name in (None, each.name)]
    if name is not None and not found:
        raise no_definition(name)
    if output == "json":
        print_json({"definitions": [describe(each) for each in found]})
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
        say("No project defines connections here, and you have approved none elsewhere")


def print_definitions(found: list[Definition]) -> None:
    """The definitions as a table."""
    from ocattach.cli.tables import file_name, print_table  # noqa: PLC0415 - tables only

    rows = []
    for each in found:
        target = each.spec.display() if each.spec else ""
        when = age(each.approval.when) if each.approval and each.approval.when else ""
        rows.append((each.name, each.state, target, file_name(each.path), when))
    print_table(
        ("Name", "State", "Target", "Defined by", "Approved"), rows, foldable={"Target", "Defined by"}
    )


def describe(found: Definition) -> dict[str, Any]:
    """A definition for scripts."""
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
