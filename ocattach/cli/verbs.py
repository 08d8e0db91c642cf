"""Verbs in the place of options: `ocattach stop frontend` is `ocattach --stop frontend`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ocattach.cli.options import WHERE, Options
from ocattach.errors import UsageError
from ocattach.printable import command_line


class Verb(NamedTuple):
    """What follows a verb, its help, and the options that it takes besides those for the output."""

    arguments: str
    help: str
    options: tuple[str, ...] = ()


ATTACH_OPTIONS = ("workdir", "session", "continue_", "fork", "print_url", "no_start", "trust", "timeout")

VERBS = {
    "attach": Verb("NAME|URI [-- TUI-ARGS...]", "Connect and open the TUI.", (*ATTACH_OPTIONS, *WHERE)),
    "list": Verb("", "List saved connections and those that the project defines."),
    "status": Verb(
        "[NAME...]", "Show the status of all connections, or of those named.", ("watch", "short", "timeout")
    ),
    "save": Verb("NAME URI", "Save a connection under a name.", ("workdir", "force", *WHERE)),
    "remove": Verb("NAME", "Remove a saved connection."),
    "disconnect": Verb("[NAME...]", "Close links; the daemons keep running.", ("all_",)),
    "stop": Verb("NAME...", "Stop daemons and close their links.", ("force", "timeout", *WHERE)),
}
"""Each but `attach` is the option of the same name."""

ALIASES = {"ls": "list", "rm": "remove"}


class Invocation(NamedTuple):
    """A command line of the main command: its verb, the words for click, and those for the TUI."""

    verb: str | None
    words: tuple[str, ...]
    tui_arguments: tuple[str, ...] = ()


def split(arguments: Sequence[str]) -> Invocation:
    """Take a command line apart. `help` and `version` become --help and --version."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, tui_arguments = tuple(arguments[:end]), tuple(arguments[end + 1 :])
    if words[:1] == ("version",):
        words = ("--version", *words[1:])
    if words[:1] == ("help",):
        words = (*words[1:], "--help")
    verb = ALIASES.get(words[0], words[0]) if words else ""
    if verb in VERBS:
        return Invocation(verb, words[1:], tui_arguments)
    return Invocation(None, words, tui_arguments)


def applied(invocation: Invocation, options: Options) -> Options:
    """The options with the verb and the arguments of the TUI."""
    changes: dict[str, Any] = {"tui_arguments": invocation.tui_arguments}
    verb = invocation.verb
    if verb is not None and verb in {"save", "remove"}:
        if not options.targets:
            raise UsageError(
                f"{verb} requires {VERBS[verb].arguments}",
                hint=f"See: {command_line('ocattach', 'help', verb)}",
            )
        changes |= {verb: options.targets[0], "targets": options.targets[1:]}
    elif verb not in {None, "attach"}:
        changes["list_" if verb == "list" else str(verb)] = True
    return options._replace(**changes)
