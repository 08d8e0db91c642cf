"""`ocattach rename OLD NEW`: give a saved connection another name."""

import os

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import saved_names
from ocattach.cli.output import report
from ocattach.cli.target import connection_argument
from ocattach.config.changes import rename_connection
from ocattach.config.variables import working_directory

EXAMPLES = """
ocattach rename frontend shop
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("old", "OLD", completer=saved_names)
@click.argument("new", metavar="NEW")
@output_option
def rename(old: str, new: str, *, output: str) -> None:
    """Rename a saved connection. Its daemon, its link and its sessions stay as they are."""
    rename_connection(old, new, cwd=working_directory(), environ=os.environ)
    report(f"Renamed {old} to {new}", {"renamed": {"from": old, "to": new}}, output=output)
