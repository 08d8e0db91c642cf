"""`ocattach session open ID`: the TUI on a session, wherever that lives."""

import click

from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.commands.attach import attach
from ocattach.cli.complete import session_ids
from ocattach.cli.options import Options
from ocattach.cli.session.place import place_of

EXAMPLES = """
ocattach session open ses_0123             attach to where it lives, with it on the screen
ocattach session open ses_0123 --print-url for a program that continues it
"""


@click.command(
    cls=Command,
    help="Attach to the environment that has a session, and open it there. The daemon is started where none runs.",
    examples=EXAMPLES,
)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@click.option("--print-url", is_flag=True, help="Print the local URL instead of opening the TUI.")
@click.option(
    "--trust", is_flag=True, help="Accept the project definition that leads there as it now stands."
)
@output_option
def command(session: str, *, print_url: bool, trust: bool, output: str) -> None:
    """Attach as `ocattach NAME -s ID` does, in the session's own directory."""
    place = place_of(session)
    is_defined = place.spec.source.kind != "typed"
    target = place.spec.name if is_defined and place.spec.name else place.spec.target.uri()
    options = Options(
        targets=(target,),
        session=session,
        workdir=place.session.directory or None,
        print_url=print_url,
        trust=trust,
        output=output,
    )
    with advice(target):
        attach(options)
