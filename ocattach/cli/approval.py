"""The trust gate of the command line: shows a project's definition and asks for approval before it is used."""

import json
import os
from collections.abc import Mapping, Sequence

import click

from ocattach.cli.terminal import has_terminal, say
from ocattach.config.files.entry import Entry
from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import VARIABLE, Approval, TrustLedger, digest, may_be_used
from ocattach.errors import NotTrustedError
from ocattach.printable import command_line


def require_trust(spec: ConnectionSpec, *, trust: bool, environ: Mapping[str, str]) -> None:
    """Return if the connection may be used: it is the user's own, approved, or approved now.

    `trust` is the option --trust, which approves without a question. Raises NotTrustedError if the user
    refuses, and where there is no terminal to ask at.
    """
    if may_be_used(spec, environ):
        return
    ledger = TrustLedger(state_directory(environ))
    former = ledger.approval(spec)
    if not trust:
        if not has_terminal():
            raise not_trusted(spec, former)
        ask(spec, former)
    ledger.trust(spec)
    if trust:
        say(approved(spec))


def approved(spec: ConnectionSpec) -> str:
    """The message about an approval, with what decides where the connection leads."""
    access = "".join(f", {label}: {value}" for label, value in spec.target.access.items())
    return f"Approved {spec.name} of {spec.source.path}: {spec.target.title(spec.workdir)}{access}"


def not_trusted(spec: ConnectionSpec, former: Approval | None) -> NotTrustedError:
    """The error without a terminal, with the commands that approve the definition."""
    approve, at_once = (
        command_line("ocattach", *words) for words in (("trust", spec.name), (spec.name, "--trust"))
    )
    return NotTrustedError(
        f"{spec.name} is defined by {spec.source.path}, {standing(former)}",
        hint=f"Review it: {command_line('ocattach', 'trust', '--list', spec.name)}\n"
        f"  Then approve it: {approve}, or in a script: {at_once}\n"
        f"  In CI, to approve exactly this content under this name: {VARIABLE}=sha256:{digest(spec)}",
    )


def ask(spec: ConnectionSpec, former: Approval | None) -> None:
    """Show the definition and ask for approval. Raises NotTrustedError if the answer is no."""
    show(spec, former)
    if not click.confirm(f"Use {spec.name}?", default=None, err=True):
        raise NotTrustedError(
            f"{spec.name} was not approved",
            hint=f"To approve it later: {command_line('ocattach', 'trust', spec.name)}",
        )


def show(spec: ConnectionSpec, former: Approval | None) -> None:
    """Print a definition, what has changed in it, and last what using it will do: that stays on the screen."""
    say(f"{spec.name} is defined by {spec.source.path}, {standing(former)}:")
    for mark, line in differences(former.definition if former else None, json.loads(spec.source.definition)):
        say(f"  {mark} {line}", colour={"+": "green", "-": "red"}.get(mark))
    defined = ConnectionSpec.from_entry(json.loads(spec.source.definition), name=spec.name)
    say("Using it will:")
    for line in consequences(defined, os.environ):
        say(f"  * {line}")


def standing(former: Approval | None) -> str:
    """Why a definition is not trusted, as the end of a sentence."""
    if former is None:
        return "which you have not approved"
    return "which has changed since you approved it"


def differences(former: Entry | None, entry: Entry) -> list[tuple[str, str]]:
    """The keys of a definition, one line each, with the mark + or - where they differ from the approved one."""
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
    """The values of an entry as JSON text; those of nested objects under dotted keys."""
    found: dict[str, str] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = json.dumps(value, ensure_ascii=False)
    return found


def consequences(spec: ConnectionSpec, environ: Mapping[str, str]) -> list[str]:
    """What using a connection does, one line each.

    Last is what decides: where commands run, by which engine and account, and which data of this machine is sent. Its
    length is limited by `config.project.check_size`.
    """
    place = spec.target.title(spec.workdir)
    lines = []
    if spec.env:
        lines.append(f"set these variables for its daemon: {', '.join(name for name, _ in spec.env)}")
    lines.append("load the plugins, tools and configuration of its working directory")
    if spec.target.runs_commands:
        lines.append(
            f"run `{spec.opencode or 'opencode'} serve` in {place}, unless a daemon is already running"
        )
    else:
        lines.append(f"connect to {place}")
    lines += [f"use the {label}: {value}" for label, value in spec.target.access.items()]
    for name in spec.target.sent_variables:
        lines.append(f"send the value of your variable {name} as the password{unset((name,), environ)}")
    passed = tuple(dict.fromkeys((*spec.forward_env, *spec.target.passed_variables)))
    if passed:
        lines.append(
            f"pass the values of your variables to its daemon: {', '.join(passed)}{unset(passed, environ)}"
        )
    return lines


def unset(names: Sequence[str], environ: Mapping[str, str]) -> str:
    """A note for variables that have no value on this machine."""
    missing = [name for name in names if name not in environ]
    if len(names) == 1 or not missing:
        return " (currently not set)" if missing else ""
    return f" ({len(missing)} of them currently not set)"
