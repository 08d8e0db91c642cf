"""`ocattach session …`: a module for each command, imported when that one is asked for."""

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from ocattach.cli.command import HELP_OPTIONS

COMMANDS = {
    "list": "List the sessions of all environments at once.",
    "show": "Show a session, and what is wrong with it.",
    "open": "Open a session in the TUI, where it lives.",
    "send": "Send a prompt to a session, or to a new one.",
    "abort": "Break off what a session does.",
    "permissions": "List what sessions wait to be allowed.",
    "reply": "Allow or refuse what a session waits for.",
    "export": "Print a session with its messages as JSON.",
    "delete": "Delete a session where it lives.",
    "stats": "Add up tokens and cost by origin and model.",
}
"""Each is the attribute `command` of the module of its name."""


class Commands(click.Group):
    """The commands, none of which is loaded to tell that it is there."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """One command, imported only now."""
        if cmd_name not in COMMANDS:
            return None
        chosen: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return chosen

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write what there is."""
        with formatter.section("Commands (ocattach session COMMAND --help)"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer names and options."""
        names = [CompletionItem(name, help=told) for name, told in COMMANDS.items()]
        return [
            *(item for item in names if item.value.startswith(incomplete)),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


@click.group(
    cls=Commands,
    help="List, show and continue the sessions of all environments.",
    context_settings=HELP_OPTIONS,
    no_args_is_help=False,
    subcommand_metavar="COMMAND ...",
)
def session() -> None:
    """Do what the command says."""
