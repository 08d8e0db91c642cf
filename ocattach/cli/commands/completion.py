"""`ocattach completion SHELL`, and the completions that the printed scripts request."""

from collections.abc import Callable, Mapping
from typing import NoReturn

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from ocattach.cli.command import Command

PROGRAM = "ocattach"

EXAMPLES = """
eval "$(ocattach completion bash)"        in ~/.bashrc
eval "$(ocattach completion zsh)"         in ~/.zshrc, after compinit
ocattach completion fish | source         in ~/.config/fish/config.fish
"""


class Bash(BashComplete):
    """Bash completion without click's version check, which runs bash."""

    def source(self) -> str:
        """Return the script."""
        return ShellComplete.source(self)


SHELLS: Mapping[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    cls=Command,
    help="Print a shell completion script for commands, options, connection names and session ids.",
    examples=EXAMPLES,
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script of a shell."""
    command = Command("ocattach", examples="")
    click.echo(SHELLS[shell](command, {}, PROGRAM, "_OCATTACH_COMPLETE").source())


def answer(
    instruction: str, main: click.Command, commands: Mapping[str, str], load: Callable[[str], click.Command]
) -> NoReturn:
    """Print completions and exit. `instruction` is such as "bash_complete"; click's scripts set the variables."""
    kind = SHELLS.get(instruction.partition("_")[0])
    if kind is None:
        raise SystemExit(1)
    shell = kind(main, {}, PROGRAM, "_OCATTACH_COMPLETE")
    words, incomplete = shell.get_completion_args()
    for item in offers(shell, words, incomplete, commands, load):
        click.echo(shell.format_completion(item))
    raise SystemExit(0)


def offers(
    shell: ShellComplete,
    words: list[str],
    incomplete: str,
    commands: Mapping[str, str],
    load: Callable[[str], click.Command],
) -> list[CompletionItem]:
    """The completions of the word that is being typed."""
    if "--" in words:  # arguments of the TUI
        return []
    if words and words[0] in commands:
        shell.cli = load(words[0])
        return shell.get_completions(words[1:], incomplete)
    own = [] if words else [CompletionItem(name, help=text) for name, text in commands.items()]
    fitting = [item for item in own if item.value.startswith(incomplete)]
    return [*shell.get_completions(words, incomplete), *fitting]
