"""`ocattach session permissions`: what sessions wait to be allowed, in all environments at once."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocattach.cli.approval import require_trust
from ocattach.cli.columns import lines
from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import print_json
from ocattach.cli.session.place import FIND_SECONDS, describe_session
from ocattach.cli.terminal import escape, say
from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DaemonNotRunningError, OcattachError
from ocattach.sessions.environment import environment_id
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import SurveyedConnection, everywhere
from ocattach.survey.fanout import ask_each

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient
    from ocattach.opencode.permissions import Waiting

EXAMPLES = """
ocattach session permissions             all that waits for you, wherever it is
ocattach session permissions staging     in one environment
ocattach session reply per_0123 once     allow it; or always, or reject
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that waits, and whose it is."""

    waiting: "Waiting"
    session: Session


@dataclass(frozen=True, slots=True)
class Silent:
    """An environment that could not be asked."""

    specs: Sequence[ConnectionSpec]
    error: OcattachError

    @property
    def name(self) -> str:
        """What it is called to people."""
        return ", ".join(spec.name or spec.display() for spec in self.specs)


@click.command(
    cls=Command,
    help="List what sessions wait to be allowed by a person, in all environments that answer, or in one.",
    examples=EXAMPLES,
)
@click.argument("name", required=False, metavar="[NAME]", shell_complete=connection_names)
@output_option
def command(name: str | None, *, output: str) -> None:
    """Ask and print; nothing is started."""
    entries = entries_of(name)
    asked, silent = [], []
    for told in ask(entries):
        if isinstance(told, Silent):
            silent.append(told)
        else:
            asked += told
    if name is not None and silent:
        raise silent[0].error
    if output == "json":
        unasked = [{"name": each.name, "error": each.error.to_json()} for each in silent]
        print_json({"permissions": [describe(each) for each in asked], "unasked": unasked})
        return
    rows = [
        [each.waiting.id, each.session.origin, each.waiting.wanted, each.session.id, each.session.title]
        for each in asked
    ]
    if rows:
        titles = ["ID", "Origin", "Wants", "Session", "Title"]
        click.echo(
            "\n".join(lines([titles, *([escape(cell).replace("\n", " ") for cell in row] for row in rows)]))
        )
        say("To answer: ocattach session reply ID once|always|reject")
    else:
        say("Nothing waits for you")
    for each in silent:
        if not isinstance(each.error, DaemonNotRunningError):  # in which nothing can wait
            say(f"! {each.name} was not asked: {each.error.message.splitlines()[0]}", colour="yellow")


def entries_of(name: str | None) -> tuple[SurveyedConnection, ...]:
    """All connections, or the one that was named, once the user trusts it."""
    if name is None:
        return everywhere(cwd=Path.cwd(), environ=os.environ).entries
    spec = resolve(name, cwd=Path.cwd(), environ=os.environ)
    require_trust(spec, trust=False, environ=os.environ)
    return (SurveyedConnection(spec.settled(os.environ)),)


def ask(entries: Sequence[SurveyedConnection]) -> Iterator[list[Asked] | Silent]:
    """What waits in each environment, or why that is not known."""
    names = Names([entry.spec for entry in entries], os.environ)

    def question(client: "DaemonClient", specs: Sequence[ConnectionSpec]) -> list[Asked]:
        from ocattach.opencode.permissions import waiting  # noqa: PLC0415 - HTTP: for who dials

        environment = environment_id(specs[0], os.environ)
        found = []
        for each, content in waiting(client, [spec.workdir for spec in specs]):
            session = Session.from_api(content, environment=environment)
            if session is not None:
                found.append(Asked(each, names.named(session)))
        return found

    for told in ask_each(entries, question, environ=os.environ, timeout=FIND_SECONDS):
        if told.error is not None:
            yield Silent(told.specs, told.error)
        else:
            yield told.answer or []


def describe(asked: Asked) -> dict[str, Any]:
    """For scripts; `always` is what that answer would allow."""
    waiting = asked.waiting
    return {
        "id": waiting.id,
        "permission": waiting.permission,
        "patterns": waiting.patterns,
        "always": waiting.always,
        "session": {**describe_session(asked.session), "directory": waiting.directory},
    }
