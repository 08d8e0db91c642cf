"""`ocattach session delete ID`: delete a session in its environment and from the index here."""

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.output import report
from ocattach.cli.session.place import client_at, forget, place_json, place_of
from ocattach.cli.terminal import escape, has_terminal
from ocattach.errors import UsageError
from ocattach.opencode.sessions import SessionClient
from ocattach.printable import command_line
from ocattach.survey.find import FoundSession

EXAMPLES = """
ocattach session delete ses_0123          delete a session after confirmation
ocattach session delete ses_0123 --yes    delete without confirmation, in a script
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@click.option("--yes", is_flag=True, help="Delete without confirmation.")
@output_option
def command(session: str, *, yes: bool, output: str) -> None:
    """Delete a session in its environment, with its messages and child sessions."""
    if not yes and (output == "json" or not has_terminal()):
        raise UsageError(
            "Cannot ask for confirmation without a terminal",
            hint=f"To delete it: {command_line('ocattach', 'session', 'delete', session, '--yes')}",
        )
    place = place_of(session)
    with client_at(place) as client:
        daemon = SessionClient(client)
        title = str(daemon.get(place.session.id).get("title") or "")
        if not yes:
            confirm(place, title)
        daemon.delete(place.session.id)
    forget(place)
    report(f"Deleted {place.session.id}", {"deleted": place_json(place)}, output=output)


def confirm(place: FoundSession, title: str) -> None:
    """Ask for confirmation. Raises click.Abort if it is refused."""
    question = (
        f"Permanently delete {place.session.id} ({title}) in {place.session.origin or place.spec.display()}?"
    )
    if not click.confirm(escape(question), default=None, err=True):
        raise click.Abort
