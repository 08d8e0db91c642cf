"""`ocattach session open ID`: open the TUI with a session, in the environment that has it."""

import click

from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.commands.attach import attach
from ocattach.cli.complete import session_ids
from ocattach.cli.options import Options
from ocattach.cli.session.place import place_of

EXAMPLES = """
ocattach session open ses_0123               open the session in the TUI
ocattach session open ses_0123 --print-url   print a URL for a program that continues it
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@click.option("--print-url", is_flag=True, help="Print the local URL instead of opening the TUI.")
@click.option("--trust", is_flag=True, help="Approve the project's definition in its current form.")
@output_option
def command(session: str, *, print_url: bool, trust: bool, output: str) -> None:
    """Attach to the environment that has a session and open it. Starts a daemon if none is running."""
    place = place_of(session)
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
