"""`ocattach session export ID`: print a session with its messages, in the format of `opencode export`."""

import json

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.session.place import client_at, place_of
from ocattach.opencode.sessions import SessionClient

PAGE = 100
"""Messages per request, since messages with tool output can be large."""

EXAMPLES = """
ocattach session export ses_0123 > session.json     for `opencode import session.json`
ocattach session export ses_0123 | jq .info.metadata
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@output_option
def command(session: str, *, output: str) -> None:  # noqa: ARG001 - always JSON
    """Print a session with all of its messages as JSON, in the format of `opencode export`."""
    place = place_of(session)
    session = place.session.id
    with client_at(place) as client:
        daemon = SessionClient(client)
        info = daemon.get(session)
        messages, before = daemon.messages(session, limit=PAGE)
        while before:
            earlier, before = daemon.messages(session, limit=PAGE, before=before)
            messages[:0] = earlier
    click.echo(json.dumps({"info": info, "messages": messages}, indent=2))
