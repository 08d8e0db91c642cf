"""`ocattach session permissions`: pending permission requests in all environments."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ocattach.cli.approval import require_trust
from ocattach.cli.columns import lines
from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import print_json
from ocattach.cli.session.place import FIND_SECONDS, session_json
from ocattach.cli.terminal import escape, say
from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import DaemonNotRunningError, OcattachError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.permissions import Waiting, waiting
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import SurveyedConnection, everywhere
from ocattach.survey.fanout import QueryResult, ask_each

EXAMPLES = """
ocattach session permissions             list pending requests in all environments
ocattach session permissions staging     list those of one environment
ocattach session reply per_0123 once     answer one: once, always or reject
"""


@dataclass(frozen=True, slots=True)
class PendingPermission:
    """A permission request and the session that waits for the answer."""

    waiting: Waiting
    session: Session


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("name", required=False, metavar="[NAME]", shell_complete=connection_names)
@output_option
def command(name: str | None, *, output: str) -> None:
    """List pending permission requests of all environments, or of one. Starts no daemon."""
    entries = entries_of(name)
    asked: list[PendingPermission] = []
    silent: list[tuple[str, OcattachError]] = []
    for result in ask(entries):
        asked += result.answer or []
        if result.error is not None:
            names = ", ".join(spec.name or spec.display() for spec in result.specs)
            silent.append((names, result.error))
    if name is not None and silent:
        raise silent[0][1]
    if output == "json":
        unasked = [{"name": names, "error": error.to_json()} for names, error in silent]
        print_json({"permissions": [permission_json(each) for each in asked], "unasked": unasked})
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
        say("No pending permission requests")
    for permission in ambiguous(asked, entries):
        say(f"! {permission} is reported by several environments; reply to it in a TUI", colour="yellow")
    for names, error in silent:
        if not isinstance(error, DaemonNotRunningError):  # no daemon, no requests
            say(f"! {names} could not be queried: {error.headline}", colour="yellow")


def ambiguous(asked: Sequence[PendingPermission], entries: Sequence[SurveyedConnection]) -> Iterator[str]:
    """The requests that environments of several places report: `session reply` refuses them."""
    places = {environment_id(each.spec, os.environ): each.spec.place_id(os.environ) for each in entries}
    found: dict[str, set[str]] = {}
    for each in asked:
        found.setdefault(each.waiting.id, set()).add(places[each.session.environment])
    yield from (permission for permission, where in found.items() if len(where) > 1)


def entries_of(name: str | None) -> tuple[SurveyedConnection, ...]:
    """All connections, or the named one, once it is trusted."""
    if name is None:
        return everywhere(cwd=Path.cwd(), environ=os.environ).entries
    spec = resolve(name, cwd=Path.cwd(), environ=os.environ)
    require_trust(spec, trust=False, environ=os.environ)
    return (SurveyedConnection(spec.pinned(os.environ)),)


def ask(entries: Sequence[SurveyedConnection]) -> Iterator[QueryResult[list[PendingPermission]]]:
    """The requests of each environment, or why they are unknown."""
    names = Names([entry.spec for entry in entries], os.environ)

    def question(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> list[PendingPermission]:
        environment = environment_id(specs[0], os.environ)
        found = []
        for each, content in waiting(client, [spec.workdir for spec in specs]):
            session = Session.from_api(content, environment=environment)
            if session is not None:
                found.append(PendingPermission(each, names.named(session)))
        return found

    return ask_each(entries, question, environ=os.environ, timeout=FIND_SECONDS)


def permission_json(asked: PendingPermission) -> dict[str, Any]:
    """A request as JSON; `always` lists the patterns that the answer "always" would allow."""
    waiting = asked.waiting
    return {
        "id": waiting.id,
        "permission": waiting.permission,
        "patterns": waiting.patterns,
        "always": waiting.always,
        "session": {**session_json(asked.session), "directory": waiting.directory},
    }
