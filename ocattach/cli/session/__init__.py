"""`ocattach session COMMAND`: one module per command, imported when the command is run."""

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from ocattach.cli.command import HELP_OPTIONS
from ocattach.errors import UsageError

COMMANDS = {
    "list": "List the sessions of all environments at once.",
    "show": "Show a session: messages, cost, state, and a diagnosis of problems.",
    "open": "Open a session in the TUI, in its environment.",
    "send": "Send a prompt to a session or to a new one.",
    "abort": "Abort what a session is doing.",
    "waiting": "List permission requests and questions that wait for an answer.",
    "reply": "Answer a permission request.",
    "answer": "Answer a question of an agent.",
    "export": "Print a session with its messages as JSON.",
    "import": "Copy an exported session into another environment.",
    "delete": "Delete a session in its environment.",
    "stats": "Show tokens and cost by origin and model.",
}
"""Commands with their help: each is the attribute `command` of the module of the same name."""

OTHER_NAMES = {"permissions": "waiting", "ls": "list"}


class Commands(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None for an unknown name."""
        name = OTHER_NAMES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module = {"import": "importing"}.get(name, name)  # a keyword of Python
        chosen: click.Command = import_module(f"{__name__}.{module}").command
        return chosen

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands."""
        with formatter.section("Commands (ocattach session COMMAND --help)"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that complete a word."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items()]
        return [
            *(item for item in names if item.value.startswith(incomplete)),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


@click.group(
    cls=Commands,
    help="List, show and continue the sessions of all environments.",
    context_settings=HELP_OPTIONS,
    invoke_without_command=True,
    subcommand_metavar="COMMAND ...",
)
@click.pass_context
def session(context: click.Context) -> None:
    """Run a command about sessions; without one, list the commands."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        raise SystemExit(UsageError.exit_code)
