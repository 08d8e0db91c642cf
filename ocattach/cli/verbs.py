"""Verbs in the place of options: `ocattach stop frontend` is `ocattach --stop frontend`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ocattach.cli.options import WHERE, Options
from ocattach.cli.registry import COMMANDS
from ocattach.errors import UsageError
from ocattach.printable import command_line


class Verb(NamedTuple):
    """What follows a verb, its help, examples, and the options that it takes besides those for the output."""

    arguments: str
    help: str
    options: tuple[str, ...] = ()
    examples: str = ""
    helps: Mapping[str, str] = {}
    """Of options that mean something else with other verbs."""


ATTACH_OPTIONS = ("workdir", "session", "continue_", "fork", "print_url", "no_start", "trust", "timeout")
FOR_CONNECTING = {"timeout": "Timeout for connecting (default 60)."}

VERBS = {
    "attach": Verb(
        "NAME|URI [-- TUI-ARGS...]",
        "Connect and open the TUI.",
        (*ATTACH_OPTIONS, *WHERE),
        """
ocattach frontend                    the same as ocattach attach frontend
ocattach attach frontend -c          continue the last session
ocattach attach docker://web:/app    connect without saving
""",
    ),
    "list": Verb(
        "",
        "List saved connections and those that the project defines.",
        (),
        """
ocattach list -o wide                with descriptions
ocattach list -o name                names only, for scripts
""",
        {"output": "Output format."},
    ),
    "status": Verb(
        "[NAME...]",
        "Show the status of all connections, or of those named.",
        ("watch", "short", "timeout"),
        """
ocattach status                      all environments, and what waits for you
ocattach status frontend staging     these two
ocattach status --watch              keep updating; keys answer, attach and stop
""",
        {
            "watch": "Keep updating, and accept keys; ? lists them.",
            "short": "One line, for a prompt or tmux.",
            "timeout": "Timeout for the environments to answer (default 5).",
            "output": "Output format.",
        },
    ),
    "save": Verb(
        "NAME URI",
        "Save a connection under a name.",
        ("workdir", "force", *WHERE),
        """
ocattach save frontend docker://frontend-app --workdir /app
ocattach save staging ssh://deploy@staging.example.com/var/www/app
""",
        {"force": "Replace an existing connection."},
    ),
    "remove": Verb("NAME", "Remove a saved connection.", (), "ocattach remove frontend"),
    "disconnect": Verb(
        "[NAME...]",
        "Close links; the daemons keep running.",
        ("all_",),
        """
ocattach disconnect frontend
ocattach disconnect --all            close every link
""",
        {"all_": "Close every link."},
    ),
    "stop": Verb(
        "NAME...",
        "Stop daemons and close their links.",
        ("force", "timeout", *WHERE),
        """
ocattach stop frontend
ocattach stop frontend --force       also a daemon that was started by hand
""",
        {"force": "Also stop a daemon that ocattach did not start.", **FOR_CONNECTING},
    ),
}
"""Each but `attach` is the option of the same name."""

ALIASES = {"ls": "list", "rm": "remove"}


class Invocation(NamedTuple):
    """A command line of the main command: its verb, the words for click, and those for the TUI."""

    verb: str | None
    words: tuple[str, ...]
    tui_arguments: tuple[str, ...] = ()
    subcommand: str | None = None
    """The first of the words, if it is one."""

    unknown_topic: str = ""
    """What help is asked for without being a command."""


def split(arguments: Sequence[str]) -> Invocation:
    """Take a command line apart. `help` and `version` become --help and --version."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, tui_arguments = tuple(arguments[:end]), tuple(arguments[end + 1 :])
    if words[:1] == ("version",):
        words = ("--version", *words[1:])
    if words[:1] == ("help",):
        words = (*words[1:], "--help")
    verb = ALIASES.get(words[0], words[0]) if words else ""
    if verb in VERBS:
        return Invocation(verb, words[1:], tui_arguments)
    if verb in COMMANDS:
        return Invocation(None, words, tui_arguments, subcommand=verb)
    topic = arguments[1] if arguments[:1] == ["help"] and arguments[1:] else ""
    return Invocation(None, words, tui_arguments, unknown_topic=topic)


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
