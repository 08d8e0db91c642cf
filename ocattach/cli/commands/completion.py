"""`ocattach completion SHELL`, and the completions that the printed scripts request."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from ocattach.cli.command import HELP_OPTIONS, Command
from ocattach.cli.verbs import ALIASES, VERBS
from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.names import RESERVED, is_name
from ocattach.config.project import project_definitions
from ocattach.config.saved import SavedConnections
from ocattach.config.variables import working_directory
from ocattach.errors import OcattachError, UsageError
from ocattach.opencode.sessions import is_session_id
from ocattach.printable import printable
from ocattach.sessions.index import index_file
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Index

PROGRAM = "ocattach"
OTHERS = {"help": "Show the help of a command.", "version": "Show the version.", "local": "This machine."}
"""Words that may come first besides names, verbs and commands."""

MAX_SESSIONS = 200
"""Maximum number of session ids offered, the latest first."""

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


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(list(SHELLS)), required=False)
def completion(shell: str | None) -> None:
    """Print a completion script for a shell, by default for that of the variable SHELL."""
    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise UsageError("SHELL is missing", hint="One of: bash, zsh, fish")
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
    verbs = {name: verb.help for name, verb in VERBS.items()}
    known = [CompletionItem(name, help=text) for name, text in {**verbs, **commands}.items()]
    own = [] if words else [*known, *(CompletionItem(name, help=text) for name, text in OTHERS.items())]
    verb = ALIASES.get(words[0], words[0]) if words else ""
    is_help = words[:1] == ["help"]
    words = words[1:] if is_help else words
    if is_help and not words:
        own, words = known, ["--"]
    elif verb in VERBS:
        words = words[1:]
    elif words and words[0] in commands:
        shell.cli = load(words[0])
        words = words[1:]
    found = [] if "--" in words else shell.get_completions(words, incomplete)  # "--": arguments of the TUI
    if verb in VERBS:
        found = [item for item in found if item.value[:1] != "-" or item.value in options_of(verb, main)]
    names = {item.value for item in found}
    for item in [
        *found,
        *(item for item in own if item.value.startswith(incomplete) and item.value not in names),
    ]:
        if may_be_offered(item):
            click.echo(shell.format_completion(item))
    raise SystemExit(0)


def options_of(verb: str, main: click.Command) -> set[str]:
    """The options that a verb takes, as they are typed; `attach` takes all."""
    taken = {*VERBS[verb].options, "output", "verbose", "quiet"}
    own = {name for each in main.params if verb == "attach" or each.name in taken for name in each.opts}
    return {*own, *HELP_OPTIONS["help_option_names"]}


def may_be_offered(item: CompletionItem) -> bool:
    """Whether a completion needs no quotes in a shell: bash inserts it as it is.

    Files and directories are completed by the shell itself, and only named by what was typed.
    """
    return shlex.quote(item.value) == item.value or (item.type != "plain" and item.value.isprintable())


def connection_names() -> dict[str, str]:
    """The valid names of saved connections and of those that the project defines, with their help."""
    found = {item.name or "": "defined by the project" for item in project_definitions(working_directory())}
    return {
        name: text for name, text in found.items() if is_name(name) and name not in RESERVED
    } | saved_names()


def saved_names() -> dict[str, str]:
    """The valid names of saved connections, without reading their files."""
    try:
        names = SavedConnections(config_directory(os.environ)).names()
    except OcattachError:  # no messages during completion
        return {}
    return dict.fromkeys(filter(is_name, names), "saved by you")


def session_ids() -> dict[str, str]:
    """The ids of the latest sessions in the index, with origin and title."""
    file = index_file(state_directory(os.environ))
    if not file.exists():
        return {}
    try:
        with Index(file) as index:
            sessions = [each.session for each in index.latest(Wanted(), limit=MAX_SESSIONS)]
    except OcattachError:  # no messages during completion
        return {}
    return {each.id: one_line(f"{each.origin}: {each.title}") for each in sessions if is_session_id(each.id)}


def one_line(text: str) -> str:
    """The text without line breaks and tabs, which end a completion in zsh and fish."""
    return printable(" ".join(text.split()))
