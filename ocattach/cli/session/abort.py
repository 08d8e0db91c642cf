"""`ocattach session abort ID`: abort what a session is doing."""

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.output import report
from ocattach.cli.session.place import client_at, place_json, place_of
from ocattach.opencode.sessions import SessionClient

EXAMPLES = """
ocattach session abort ses_0123
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@output_option
def command(session: str, *, output: str) -> None:
    """Abort what a session is doing: an answer of the model, a tool call, or a pending permission request."""
    place = place_of(session)
    session = place.session.id
    with client_at(place) as client:
        daemon = SessionClient(client)
        directory = daemon.get(session).get(
            "directory"
        )  # OpenCode aborts what it does not have, too (1.18.33)
        was_at_work = session in daemon.statuses(directory if isinstance(directory, str) else None)
        daemon.abort(session)
    text = f"Aborted {session}" if was_at_work else f"{session} was idle"
    report(text, {"session": place_json(place), "aborted": was_at_work}, output=output)
