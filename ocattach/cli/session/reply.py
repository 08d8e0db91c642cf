"""`ocattach session reply PERMISSION once|always|reject`: answer a permission request."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.output import print_json
from ocattach.cli.session.place import FIND_SECONDS
from ocattach.cli.terminal import say
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import SessionNotFoundError, UsageError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.permissions import Waiting, answer, waiting
from ocattach.opencode.sessions import PERMISSION_ID, Reply
from ocattach.survey.everywhere import everywhere
from ocattach.survey.fanout import ask_each
from ocattach.survey.find import not_found

HINT = "List pending requests: ocattach session permissions"

EXAMPLES = """
ocattach session permissions              list pending requests with their ids
ocattach session reply per_0123 once      allow it once
ocattach session reply per_0123 always    allow it and similar requests until the daemon stops
ocattach session reply per_0123 reject    refuse it
"""


@click.command(
    cls=Command,
    help="Answer a permission request of a session, in any environment. Starts no daemon.",
    examples=EXAMPLES,
)
@click.argument("permission", metavar="PERMISSION")
@click.argument("reply", type=click.Choice(["once", "always", "reject"]))
@output_option
def command(permission: str, reply: str, *, output: str) -> None:
    """Find the request and answer it."""
    if not PERMISSION_ID.fullmatch(permission):
        raise UsageError(
            f"{permission!r} is not the id of a permission request (per_…)",
            hint=HINT,
        )
    answered = answer_anywhere(permission, cast("Reply", reply))
    if output == "json":
        print_json({"permission": permission, "session": answered.session, "reply": reply})
    else:
        say(f"Answered {reply}: {answered.wanted}, for {answered.session}")


def answer_anywhere(permission: str, reply: Reply) -> Waiting:
    """Answer the request in the environment that has it. Raises SessionNotFoundError if none has."""

    def question(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> Waiting | None:
        for asked, _ in waiting(client, [spec.workdir for spec in specs]):
            if asked.id == permission:
                answer(client, asked, reply)
                return asked
        return None

    entries = everywhere(cwd=Path.cwd(), environ=os.environ).entries
    unasked: list[str] = []
    for told in ask_each(entries, question, environ=os.environ, timeout=FIND_SECONDS):
        if told.answer is not None:
            return told.answer
        if told.error is not None:
            unasked += [name for spec in told.specs if (name := spec.name)]
    if unasked:
        raise not_found(permission, unasked)
    raise SessionNotFoundError(f"No environment has {permission}", hint=HINT)
