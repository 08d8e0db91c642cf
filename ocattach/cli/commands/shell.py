"""`ocattach shell NAME`: the account's shell in an environment."""

from typing import Any

import click

from ocattach.cli.command import Command, timeout_option
from ocattach.cli.commands.exec import run_there
from ocattach.cli.options import where_options
from ocattach.cli.target import connection_argument

EXAMPLES = """
ocattach shell frontend
ocattach shell frontend --user root
ocattach shell ssh://staging:/var/www/app
ocattach shell frontend < commands.sh               without a terminal: commands from stdin
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("target", "NAME|URI")
@where_options
@timeout_option("Timeout for connecting (default 60).")
def shell(target: str, **parameters: Any) -> None:
    """Open a shell in an environment, in the connection's directory and with the variables of its `env`.

    It is the account's own: $SHELL there, else that of /etc/passwd, else bash or sh. OCATTACH_ORIGIN is set, as in the
    shells of agents. No daemon is needed, and none is started. The exit code is the shell's.
    """
    run_there(None, target, parameters)
