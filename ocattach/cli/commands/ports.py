"""`ocattach ports NAME`: on which ports programs listen in an environment."""

import os
from typing import Any

import click

from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.tables import print_table
from ocattach.cli.target import as_used, connection_argument
from ocattach.cli.terminal import say
from ocattach.config.files.paths import config_directory
from ocattach.config.resolver import resolve
from ocattach.config.settings import load_settings
from ocattach.config.variables import working_directory
from ocattach.link.client.forwards import list_ports

EXAMPLES = """
ocattach ports frontend                 what listens there, and what is forwarded
ocattach ports frontend -o json | jq -r '.ports[].port'
ocattach forward frontend 3000          forward one of them
"""

TITLES = ("Port", "Address", "Program", "Directory", "Forwarded")


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("name", "NAME|URI")
@output_option
def ports(name: str, *, output: str) -> None:
    """List the TCP ports on which programs listen in an environment, with program and directory.

    Programs of other accounts there are shown by their uid, unless commands run as root. Starts no daemon.
    """
    spec = as_used(resolve(name, cwd=working_directory(), environ=os.environ))
    timeout = load_settings(config_directory(os.environ)).connect_timeout_seconds
    person = Person(quiet=output == "json")
    with advice(name), person.waiting("Connecting"):
        found = list_ports(spec, person, os.environ, timeout=timeout)
    if output == "json":
        print_json({"name": spec.name, "uri": spec.display(), "ports": found})
    elif found:
        print_table(TITLES, [row(each) for each in found], below={"Directory"})
    else:
        say(f"No program listens in {spec.title()}")


def row(port: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of a port."""
    local = port["forwarded"]
    return (
        str(port["port"]),
        port["address"],
        program(port),
        port["directory"] or "-",
        f"127.0.0.1:{local}" if local else "-",
    )


def program(port: dict[str, Any]) -> str:
    """Return the program that listens on a port; the account if only that can be seen."""
    if port["opencode"]:
        return "OpenCode's daemon"
    return port["program"] or ("-" if port["uid"] is None else f"(uid {port['uid']})")
