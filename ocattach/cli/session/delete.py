"""`ocattach session delete ID`: a session is deleted where it lives, and forgotten here."""

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.output import print_json
from ocattach.cli.session.place import client_at, describe, forget, place_of
from ocattach.cli.terminal import escape, has_terminal, say
from ocattach.errors import UsageError
from ocattach.survey.find import FoundSession

EXAMPLES = """
ocattach session delete ses_0123          you are asked whether you mean it
ocattach session delete ses_0123 --yes    in a script
"""


@click.command(
    cls=Command,
    help="Delete a session where it lives, with its messages and the sessions that it has made.",
    examples=EXAMPLES,
)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
def command(session: str, *, yes: bool, output: str) -> None:
    """Ask, and delete it."""
    from ocattach.opencode.sessions import SessionClient  # noqa: PLC0415 - HTTP: once it is known whom to ask

    if not yes and (output == "json" or not has_terminal()):
        raise UsageError(
            "Nobody can be asked whether to delete it", hint=f"ocattach session delete {session} --yes"
        )
    place = place_of(session)
    with client_at(place) as client:
        daemon = SessionClient(client)
        title = str(daemon.get(session).get("title") or "")
        if not yes:
            confirm(place, title)
        daemon.delete(session)
    forget(session)
    if output == "json":
        print_json({"deleted": describe(place)})
    else:
        say(f"Deleted {session}")


def confirm(place: FoundSession, title: str) -> None:
    """Go on if the person says so."""
    said = f"Delete {place.session.id} ({title}) of {place.session.origin or place.spec.display()} for good?"
    if not click.confirm(escape(said), default=None, err=True):
        raise click.Abort
