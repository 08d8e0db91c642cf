"""`ocattach session open ID`: open the TUI with a session, in the environment that has it."""

import os

import click

from ocattach.cli.amounts import ago
from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.commands.attach import attach
from ocattach.cli.complete import session_ids
from ocattach.cli.options import Options
from ocattach.cli.picker import Choice, pick
from ocattach.cli.session.place import place_of
from ocattach.cli.terminal import escape, has_terminal
from ocattach.errors import UsageError
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import open_index
from ocattach.sessions.record import Session

MOST = 200
"""How many of the latest sessions can be chosen."""

EXAMPLES = """
ocattach session open                        choose one of the latest sessions
ocattach session open ses_0123               open the session in the TUI
ocattach session open ses_0123 --print-url   print a URL for a program that continues it
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("session", metavar="[ID]", shell_complete=session_ids, required=False)
@click.option("--print-url", is_flag=True, help="Print the local URL instead of opening the TUI.")
@click.option("--trust", is_flag=True, help="Approve the project's definition in its current form.")
@output_option
def command(session: str | None, *, print_url: bool, trust: bool, output: str) -> None:
    """Attach to the environment that has a session and open it. Starts a daemon if none is running.

    Without an ID, choose from the latest sessions.
    """
    place = place_of(session or picked_session())
    is_defined = place.spec.source.kind != "typed"
    target = place.spec.name if is_defined and place.spec.name else place.spec.target.uri()
    options = Options(
        targets=(target,),
        session=place.session.id,
        workdir=place.session.directory or None,
        print_url=print_url,
        trust=trust,
        output=output,
    )
    with advice(target):
        attach(options)


def picked_session() -> str:
    """The id of the session that the user picks. Raises UsageError without a terminal, or if none is known."""
    if not has_terminal():
        raise UsageError("The session's ID is missing", hint="List them: ocattach session list")
    with open_index(os.environ) as index:
        sessions = [known.session for known in index.latest(Wanted(), limit=MOST)]
    if not sessions:
        raise UsageError("No session is known yet", hint="Ask all environments: ocattach session list")
    return pick([choice(session) for session in sessions], "Open session")


def choice(session: Session) -> Choice:
    """A session to choose: title, origin and last update."""
    cells = (session.title, session.origin, ago(session.updated / 1000))
    return Choice(
        session.id, tuple(escape(" ".join(cell.split())) for cell in cells), f"{session.id} {' '.join(cells)}"
    )
