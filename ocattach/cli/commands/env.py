"""`ocattach env NAME`: what a shell, an SDK or another program needs to use a daemon."""

import os
import shlex

import click

from ocattach.cli.command import Command, advice, timeout_option
from ocattach.cli.options import Options
from ocattach.cli.person import Person
from ocattach.cli.target import connect_seconds, connection_argument, resolve_target
from ocattach.link.client.foreground import attach

EXAMPLES = """
eval "$(ocattach env frontend)"     set the variables in this shell
opencode attach "$OPENCODE_URL"     and use them
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("target", "NAME|URI")
@timeout_option("Timeout for connecting (default 60).")
def env(target: str, *, timeout: float | None) -> None:
    """Connect, and print export lines for a POSIX shell: OPENCODE_URL, and the user and password that OpenCode reads.

    The daemon is started if none is running. The values stay the same as long as the port is free, over losses of the
    connection and restarts of the daemon.
    """
    spec = resolve_target(Options(targets=(target,)))
    person = Person()
    timeout = timeout or connect_seconds()
    with advice(target), person.waiting("Connecting"):
        attachment = attach(spec, person, os.environ, start=True, timeout=timeout)
    variables = {
        "OPENCODE_URL": attachment.url,
        "OPENCODE_SERVER_USERNAME": attachment.username,
        "OPENCODE_SERVER_PASSWORD": attachment.password or "",
    }
    for name, value in variables.items():
        click.echo(shlex.join(["export", f"{name}={value}"]))
