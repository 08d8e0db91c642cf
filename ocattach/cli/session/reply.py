"""`ocattach session reply PERMISSION once|always|reject`: answer a permission request."""

import os
from typing import cast

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.output import report
from ocattach.cli.person import Person
from ocattach.config.variables import working_directory
from ocattach.errors import UsageError
from ocattach.link.client.direct import asker
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import Permission, reply
from ocattach.opencode.sessions import PERMISSION_ID, Reply
from ocattach.survey.everywhere import everywhere
from ocattach.survey.pending import HINT, respond

EXAMPLES = """
ocattach session waiting                  list pending requests with their ids
ocattach session reply per_0123 once      allow it once
ocattach session reply per_0123 always    allow it and similar requests until the daemon stops
ocattach session reply per_0123 reject    refuse it
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("permission", metavar="PERMISSION")
@click.argument("decision", metavar="REPLY", type=click.Choice(["once", "always", "reject"]))
@output_option
def command(permission: str, decision: str, *, output: str) -> None:
    """Answer a permission request of a session, in any environment. Starts no daemon."""
    if not PERMISSION_ID.fullmatch(permission):
        raise UsageError(f"{permission!r} is not the id of a permission request (per_…)", hint=HINT)

    def send(client: DaemonClient, request: Permission) -> Permission:
        reply(client, request, cast("Reply", decision))
        return request

    entries = everywhere(cwd=working_directory(), environ=os.environ).entries
    person = Person()
    with person.asking():
        request = respond(permission, Permission, entries, send, ask=asker(person), environ=os.environ)
    text = f"Answered {decision}: {request.wanted}, for {request.session}"
    report(text, {"permission": request.id, "session": request.session, "reply": decision}, output=output)
