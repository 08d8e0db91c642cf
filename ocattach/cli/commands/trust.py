"""`ocattach trust`, and asking the user whether a definition that others wrote may be used."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import connection_names
from ocattach.cli.terminal import has_terminal, say
from ocattach.config.approvals import Definition, definitions, listed_definitions
from ocattach.config.files.entry import Entry
from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.project import find_in_project
from ocattach.config.resolver import list_connections, not_found
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import VARIABLE, Approval, TrustLedger, digest, may_be_used
from ocattach.errors import NotTrustedError, UsageError

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


def require_trust(spec: ConnectionSpec, *, trust: bool, environ: Mapping[str, str]) -> None:
    """Return if a project's definition is approved; ask where that is possible.

    Raises NotTrustedError otherwise.
    """
    ledger = TrustLedger(state_directory(environ))
    if may_be_used(spec, ledger, environ):
        return
    former = ledger.approval(spec)
    if not trust:
        if not has_terminal():
            raise not_trusted(spec, former)
        ask(spec, former)
    ledger.trust(spec)


def not_trusted(spec: ConnectionSpec, former: Approval | None) -> NotTrustedError:
    """The error where nobody can be asked, with each way to go on."""
    return NotTrustedError(
        f"{spec.name} is defined by {spec.source.path}, {standing(former)}",
        hint=f"Look at it: ocattach trust --list {spec.name}\n"
        f"  Then approve it: ocattach trust {spec.name}, or in a script: ocattach {spec.name} --trust\n"
        f"  In CI, this content and no other: {VARIABLE}=sha256:{digest(spec)}",
    )


def ask(spec: ConnectionSpec, former: Approval | None) -> None:
    """Show what would be run and where, and ask. Raises NotTrustedError when the answer is no."""
    show(spec, former)
    if not click.confirm(f"Use {spec.name}?", default=None, err=True):
        raise NotTrustedError(
            f"{spec.name} was not approved", hint=f"To be asked again: ocattach trust {spec.name}"
        )


def show(spec: ConnectionSpec, former: Approval | None) -> None:
    """Say what a definition is, what is new about it, and what using it comes to; that last, where it is seen."""
    say(f"{spec.name} is defined by {spec.source.path}, {standing(former)}:")
    for mark, line in differences(former.definition if former else None, json.loads(spec.source.definition)):
        say(f"  {mark} {line}", colour={"+": "green", "-": "red"}.get(mark))
    defined = ConnectionSpec.from_entry(json.loads(spec.source.definition), name=spec.name)
    say("To use it is")
    for line in consequences(defined, os.environ):
        say(f"  * {line}")


def standing(former: Approval | None) -> str:
    """How a definition that is not trusted stands, to end a sentence with."""
    if former is None:
        return "which you have not approved"
    if former.definition is None:
        return "which has changed since you approved it (from what, was not kept)"
    return "which has changed since you approved it"


def differences(former: Entry | None, entry: Entry) -> list[tuple[str, str]]:
    """The keys of a definition, each a line: marked + and - where it is not what it was."""
    then, now = flat(entry if former is None else former), flat(entry)
    lines = []
    for key in sorted({**then, **now}, key=lambda key: (key != "transport", key)):
        if then.get(key) == now.get(key):
            lines.append((" ", f"{key}: {now[key]}"))
        else:
            lines += [("-", f"{key}: {then[key]}")] if key in then else []
            lines += [("+", f"{key}: {now[key]}")] if key in now else []
    return lines


def flat(entry: Entry, above: str = "") -> dict[str, str]:
    """The values of an entry as JSON, which shows where each ends; those of an inner object by a longer key."""
    found: dict[str, str] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = json.dumps(value, ensure_ascii=False)
    return found


def consequences(spec: ConnectionSpec, environ: Mapping[str, str]) -> list[str]:
    """What using a connection does, in words: what is run and where, and what of this machine goes there."""
    place = spec.display()
    lines = [f"to reach {place}"]
    if spec.target.runs_commands:
        program = spec.opencode or "opencode"
        lines = [f"to run `{program} serve` in {place}, unless a daemon runs there"]
        if spec.env:
            lines.append(f"to set variables for it: {', '.join(name for name, _ in spec.env)}")
    lines.append("to load the plugins, tools and configuration of the directory there")
    for name in spec.target.sent_variables:
        lines.append(f"to send it the value of your variable {name} as the password{unset(name, environ)}")
    for name in spec.forward_env:
        lines.append(f"to hand its daemon the value of your variable {name}{unset(name, environ)}")
    return lines


def unset(name: str, environ: Mapping[str, str]) -> str:
    """A remark where a variable has no value to hand over."""
    return "" if name in environ else " (not set now)"


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
        output,
        f"{name} of {spec.source.path} is approved",
        {"trusted": describe(Definition(spec, ledger.approval(spec)))},
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
    report(output, told or f"{name} was not approved", {"revoked": record})


def show_definitions(ledger: TrustLedger, name: str | None, output: str) -> None:
    """Show the definitions seen from here, and whatever else was approved once."""
    found = [each for each in listed_definitions(Path.cwd(), ledger) if name in (None, each.name)]
    if name is not None and not found:
        raise no_definition(name)
    if output == "json":
        report(output, "", {"definitions": [describe(each) for each in found]})
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
    from ocattach.cli.commands.connections import age  # noqa: PLC0415 - the same
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


def report(output: str, words: str, document: dict[str, Any]) -> None:
    """Say what was done, to people or to a script."""
    if output == "json":
        from ocattach.cli.main import print_json  # noqa: PLC0415

        print_json(document)
    else:
        say(words)
