"""`ocattach session export ID`: print a session with its messages, in the format of `opencode export`."""

import json

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.session.place import client_at, place_of
from ocattach.errors import TooMuchOutputError
from ocattach.opencode.sessions import Content, SessionClient

PAGE = 100
"""Messages per request, since messages with tool output can be large."""

MOST_BYTES = 256 * 1024 * 1024
"""The largest document."""

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
        document = {"info": daemon.get(session), "messages": read_messages(daemon, session)}
    click.echo(json.dumps(document, indent=2))


def read_messages(daemon: SessionClient, session: str) -> list[Content]:
    """Return all messages of a session, oldest first. Raises TooMuchOutputError if they are too large."""
    messages: list[Content] = []
    size = 0
    for page in daemon.message_pages(session, limit=PAGE):
        size += len(json.dumps(page))
        if size > MOST_BYTES:
            raise TooMuchOutputError(f"{session} is larger than {MOST_BYTES >> 20} MiB")
        messages[:0] = page
    return messages
