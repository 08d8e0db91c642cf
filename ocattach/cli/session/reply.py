"""`ocattach session reply PERMISSION once|always|reject`: answer a permission request."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.output import report
from ocattach.cli.session.place import FIND_SECONDS
from ocattach.cli.terminal import Person
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import SessionConflictError, SessionNotFoundError, UsageError
from ocattach.link.client.access import open_client
from ocattach.link.client.direct import asker
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.permissions import Waiting, answer, waiting
from ocattach.opencode.sessions import PERMISSION_ID, Reply
from ocattach.survey.everywhere import everywhere
from ocattach.survey.fanout import ask_each
from ocattach.survey.find import IndexRecord, choosing, not_found

HINT = "List pending requests: ocattach session permissions"

EXAMPLES = """
ocattach session permissions              list pending requests with their ids
ocattach session reply per_0123 once      allow it once
ocattach session reply per_0123 always    allow it and similar requests until the daemon stops
ocattach session reply per_0123 reject    refuse it
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("permission", metavar="PERMISSION")
@click.argument("reply", type=click.Choice(["once", "always", "reject"]))
@output_option
def command(permission: str, reply: str, *, output: str) -> None:
    """Answer a permission request of a session, in any environment. Starts no daemon."""
    if not PERMISSION_ID.fullmatch(permission):
        raise UsageError(
            f"{permission!r} is not the id of a permission request (per_…)",
            hint=HINT,
        )
    answered, spec = find_request(permission)
    with open_client(spec, environ=os.environ, ask=asker(Person()), timeout=FIND_SECONDS) as client:
        answer(client, answered, cast("Reply", reply))
    text = f"Answered {reply}: {answered.wanted}, for {answered.session}"
    report(text, {"permission": permission, "session": answered.session, "reply": reply}, output=output)


def find_request(permission: str) -> tuple[Waiting, ConnectionSpec]:
    """Return the request and a connection to its environment, by querying all environments.

    Raises SessionNotFoundError if none has it, and SessionConflictError if several have.
    """

    def question(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> Waiting | None:
        pending = waiting(client, [spec.workdir for spec in specs])
        return next((asked for asked, _ in pending if asked.id == permission), None)

    entries = everywhere(cwd=Path.cwd(), environ=os.environ).entries
    found: list[tuple[Waiting, ConnectionSpec]] = []
    unasked: list[str] = []
    for result in ask_each(entries, question, environ=os.environ, timeout=FIND_SECONDS):
        if result.answer is not None:
            found.append((result.answer, result.specs[0]))
        elif result.error is not None:
            unasked += [name for spec in result.specs if (name := spec.name)]
    if not found and unasked:
        raise not_found(permission, unasked)
    if not found:
        raise SessionNotFoundError(f"No environment has {permission}", hint=HINT)
    check_owner(permission, found)
    return found[0]


def check_owner(permission: str, found: Sequence[tuple[Waiting, ConnectionSpec]]) -> None:
    """Raise SessionConflictError if several environments report a request, or another one has its session."""
    places = {spec.place_id(os.environ) for _, spec in found}
    asked, spec = found[0]
    claims = IndexRecord.read(asked.session, os.environ).claims
    if len(places) == 1 and (claims is None or claims.belongs_to(*places)):
        return
    names = ", ".join(spec.title() for _, spec in found)
    owner = "" if len(places) > 1 else f", but {asked.session} belongs to another environment"
    raise SessionConflictError(
        f"{permission} is reported by {names}{owner}",
        hint=f"Reply in the TUI of the right one: {choosing(spec, asked.session)}",
    )
