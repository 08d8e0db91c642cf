"""The trust gate of the command line: a project's definition is shown and approved before it is used."""

import json
import os
from collections.abc import Mapping

import click

from ocattach.cli.terminal import has_terminal, say
from ocattach.config.files.entry import Entry
from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import VARIABLE, Approval, TrustLedger, digest, may_be_used
from ocattach.errors import NotTrustedError


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
