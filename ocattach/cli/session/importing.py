"""`ocattach session import`: copy an exported session into another environment."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from ocattach.cli.command import Command, advice, output_option, timeout_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.session.files import read_file
from ocattach.cli.session.place import place_json
from ocattach.cli.session.send import new_destination
from ocattach.cli.target import connect_seconds, connection_argument
from ocattach.cli.terminal import say
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import UsageError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.prompts import PromptClient
from ocattach.opencode.sessions import Content
from ocattach.opencode.transfer import MOST_BYTES, NOT_IMPORTED, Conversation, Transfer, read_conversation
from ocattach.printable import command_line
from ocattach.sessions.record import Session
from ocattach.survey.find import FoundSession

REQUEST_SECONDS = 60.0
"""Seconds of a request, which may have a megabyte or a large attachment in it."""

EXAMPLES = """
ocattach session export ses_0123 | ocattach session import api
ocattach session import api session.json
"""


@click.command(
    cls=Command,
    help="Make an exported session again as a new session of a connection, in its directory. Reads a document of"
    " 'ocattach session export' from FILE or stdin, and prints the id of the new session. Not copied: "
    f"{'; '.join(NOT_IMPORTED)}. Starts a daemon if none is running.",
    examples=EXAMPLES,
)
@connection_argument("target", "NAME|URI")
@click.argument("file", metavar="[FILE|-]", default="-", type=click.Path(path_type=Path, allow_dash=True))
@timeout_option("Timeout for connecting (default 60).")
@click.option("--trust", is_flag=True, help="Approve the project's definition in its current form.")
@output_option
@click.option("-q", "--quiet", is_flag=True, help="Print only errors and the id.")
def command(target: str, file: Path, *, timeout: float | None, trust: bool, output: str, quiet: bool) -> None:
    """Import the session and print its id."""
    person = Person(quiet=quiet or output == "json")
    with advice(target):
        found = new_destination(target, person, timeout or connect_seconds(), trust=trust)
        conversation = read_conversation(read_document(file))
        destination = replace(found, request_seconds=REQUEST_SECONDS)
        client, workdir = destination.open()
        destination.check_directory(client, workdir)
        content = destination.create(client, workdir, title=conversation.title)
        left_out = Transfer(client, content).run(conversation)
        notes = [*NOT_IMPORTED, *further_notes(client, content, conversation, left_out)]
    session, count = destination.read(content), len(conversation.messages)
    print_result(destination.spec, session, count, notes, is_json=output == "json", quiet=quiet)


def read_document(file: Path) -> bytes:
    """Read a file of this machine, or stdin. Raises UsageError if it cannot be read or is too large."""
    if str(file) != "-":
        data = read_file(file, MOST_BYTES)
    elif sys.stdin.isatty():
        raise UsageError("There is no document on stdin", hint="Usage: ocattach session import NAME FILE")
    else:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if not data.strip():
        raise UsageError("The document is empty", hint="Export a session: ocattach session export ID")
    if len(data) > MOST_BYTES:
        raise UsageError(f"The document is larger than {MOST_BYTES >> 20} MiB")
    return data


def further_notes(
    client: DaemonClient, content: Content, conversation: Conversation, left_out: int
) -> list[str]:
    """Return what else of this conversation was not imported, or is missing there."""
    notes = [f"{left_out} references to files and URLs, without their content"] if left_out else []
    model = conversation.model
    if model and model not in PromptClient(client).models(str(content.get("directory"))):
        notes.append(f"its model {model}, which is not available there: choose another for the next prompt")
    return notes


def print_result(
    spec: ConnectionSpec, session: Session, count: int, notes: list[str], *, is_json: bool, quiet: bool
) -> None:
    """Print the id of the new session on stdout, and the rest on stderr; or one document."""
    opens = command_line("ocattach", "session", "open", session.id)
    if is_json:
        print_json(
            {
                "session": place_json(FoundSession(spec, session)),
                "messages": count,
                "not_imported": notes,
                "command": opens,
            }
        )
        return
    click.echo(session.id)
    if not quiet:
        say(f"✓ Imported {count} messages into {spec.title()}")
        for note in notes:
            say(f"  Not imported: {note}")
        say(f"To open it: {opens}")
