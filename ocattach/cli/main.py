"""The `ocattach` command: parses the command line, runs commands, reports errors and sets the exit code."""

import os
import stat
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any, NoReturn

import click

from ocattach.cli.command import advice, silence_libraries, timeout_option
from ocattach.cli.complete import connection_names, saved_names, session_ids
from ocattach.cli.information import is_json_asked_for, print_schema, print_version
from ocattach.cli.main_help import EXAMPLES, MainCommand
from ocattach.cli.options import Options, where_options
from ocattach.cli.output import print_json
from ocattach.cli.target import last_named, named_by_dash
from ocattach.cli.terminal import has_terminal, lost_output_reported, prepare_streams, say, say_error
from ocattach.cli.verbs import Invocation, applied, split
from ocattach.config.files.paths import state_directory
from ocattach.config.suggestion import LIST_ALL
from ocattach.config.variables import absolute_variables, with_home
from ocattach.defects import FILE, as_error, log_thread_defects
from ocattach.errors import (
    ConfigurationError,
    ConnectionNotFoundError,
    InterruptedByUserError,
    NotTrustedError,
    OcattachError,
    UsageError,
)
from ocattach.printable import command_line

COMPLETION = "_OCATTACH_COMPLETE"
"""The variable that the scripts of `ocattach completion` set when Tab is pressed."""


COMMANDS = {
    "session": "List, show and continue the sessions of all environments.",
    "exec": "Run a command in an environment.",
    "shell": "Open a shell in an environment.",
    "rename": "Rename a saved connection.",
    "env": "Print variables for a shell, an SDK or another program.",
    "wait": "Wait until a session is idle, waits for you, or has failed.",
    "web": "Open OpenCode's own page in the browser.",
    "events": "Print what agents do as JSON, one event a line.",
    "forward": "Forward ports of an environment to this machine.",
    "ports": "List the ports on which programs listen there.",
    "logs": "Show the logs of the daemon, of OpenCode and of the link.",
    "doctor": "Diagnose a connection, or the setup of this machine.",
    "explain": "Show what connecting would run, and which file defines it.",
    "trust": "Approve what a project defines, or revoke the approval.",
    "completion": "Print a shell completion script.",
}
"""Subcommands with their help: each is a function in the module of the same name."""

ACTIONS = {
    "status": "status",
    "save": "commands.connections",
    "list_": "commands.connections",
    "remove": "commands.connections",
    "default": "commands.connections",
    "disconnect": "commands.connections",
    "stop": "commands.connections",
}
"""Options of the main command that replace attaching: each is a function of its name in the given module."""

FIRST_STEPS = """\
No connections yet. To save one and attach to it:
  ocattach --save frontend docker://CONTAINER --workdir /app
  ocattach frontend"""

GROUPS = {"session"}
"""Commands that have subcommands: packages directly below `ocattach.cli`."""


@click.command(
    cls=MainCommand,
    commands=COMMANDS,
    help="Open the OpenCode TUI on a daemon in a container, on a host or in a pod.",
    examples=EXAMPLES,
    options_metavar="[OPTIONS]",
)
@click.argument("targets", nargs=-1, metavar="NAME|URI [-- TUI-ARGS...]", shell_complete=connection_names)
@click.option("--save", metavar="NAME", help="Save the URI and the options under NAME; does not connect.")
@click.option(
    "--list", "list_", is_flag=True, help="List saved connections and those that the project defines."
)
@click.option("--status", is_flag=True, help="Show the status of all connections, or of those named.")
@click.option("--watch", is_flag=True, help="With --status: keep updating, and accept keys; ? lists them.")
@click.option("--short", is_flag=True, help="With --status: one line, for a prompt or tmux.")
@click.option("--remove", metavar="NAME", shell_complete=saved_names, help="Remove a saved connection.")
@click.option(
    "--default",
    metavar="NAME",
    shell_complete=saved_names,
    callback=named_by_dash,
    help="Make a saved connection the default of `ocattach` without NAME; '' for none.",
)
@click.option(
    "--disconnect", is_flag=True, help="Close the link of NAME (or --all); the daemon keeps running."
)
@click.option("--stop", is_flag=True, help="Stop the daemon of NAME and close its link.")
@click.option("--all", "all_", is_flag=True, help="With --disconnect: close every link.")
@click.option(
    "--force",
    is_flag=True,
    help="With --save: replace an existing connection. With --stop: also stop a daemon that ocattach did not start.",
)
@click.option(
    "-s", "--session", metavar="ID", shell_complete=session_ids, help="Open the session with this ID."
)
@click.option("-c", "--continue", "continue_", is_flag=True, help="Continue the most recent session.")
@click.option("--fork", is_flag=True, help="Fork the session before opening it.")
@click.option("--print-url", is_flag=True, help="Print the local URL instead of opening the TUI.")
@click.option("--no-start", is_flag=True, help="Do not start a daemon.")
@timeout_option("Timeout for connecting (default 60), or for --status (default 5).")
@where_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "wide", "name"]),
    default="table",
    help="Output format; wide and name are for --list and --status.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print more details.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_schema,
    help="Print the JSON Schema of project files, for editors.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
@click.pass_context
def command(ctx: click.Context, /, **parameters: Any) -> None:
    """Run what the options select. People read the `help` above instead."""
    options = applied(ctx.obj, Options(**parameters))
    options = options._replace(targets=tuple(map(last_named, options.targets)))
    refuse_excess(options)
    with advice(options.target):
        action(options)(options)


def refuse_excess(options: Options) -> None:
    """Raise UsageError for options and arguments that the selected action does not take."""
    if (options.watch or options.short) and not options.status:
        option = "--watch" if options.watch else "--short"
        raise UsageError(
            f"{option} requires --status", hint=f"Try: {command_line('ocattach', '--status', option)}"
        )
    if options.output in {"wide", "name"} and not (options.status or options.list_):
        raise UsageError(
            f"-o {options.output} requires --list or --status",
            hint=f"Try: {command_line('ocattach', '--list', '-o', options.output)}",
        )
    takes_several = options.status or options.disconnect or options.stop
    takes_none = options.list_ or options.remove is not None or options.default is not None
    most = 0 if takes_none else 1
    if len(options.targets) > most and not takes_several:
        raise UsageError(
            f"Only one connection can be given; unexpected argument {options.targets[most]!r}"
            if most
            else f"Unexpected argument {options.targets[0]!r}",
            hint=load_function("usage", "excess_hint")(options.targets, tuple(COMMANDS)),
        )


def action(options: Options) -> Callable[[Options], None]:
    """The function that runs the selected option, else `attach`."""
    selected = [name for name in ACTIONS if getattr(options, name) not in {None, False}]
    if len(selected) > 1:
        first, second = (name.strip("_") for name in selected[:2])
        raise UsageError(f"--{first} and --{second} cannot be used together")
    if selected:
        chosen: Callable[[Options], None] = load_function(ACTIONS[selected[0]], selected[0])
        return chosen
    attach: Callable[[Options], None] = load_function("commands.attach", "attach")
    if options.target is not None:
        return attach
    picked = picked_name(options)
    return lambda _: attach(options._replace(targets=(picked,)))


def picked_name(options: Options) -> str:
    """The default, else what the user picks. Raises UsageError without a terminal, or if there are no connections."""
    picked: str | None = None
    if options.output != "json" and has_terminal() and (options.print_url or sys.stdout.isatty()):
        picked = load_function("commands.picker", "default_or_pick")()
        if picked is None:
            say(FIRST_STEPS)
            raise SystemExit(UsageError.exit_code)
    if picked is None:
        if options.output != "json":
            click.echo(f"{click.get_current_context().get_help()}\n", err=True)
        raise UsageError("NAME or URI is missing", hint=LIST_ALL)
    return picked


def program_of(invocation: Invocation) -> str:
    """The command as hints name it, such as `ocattach session send`."""
    words = invocation.words
    if invocation.verb:
        return command_line("ocattach", invocation.verb)
    if not words or words[0] not in COMMANDS:
        return "ocattach"
    group = load(words[0]) if words[0] in GROUPS else None
    is_known = (
        isinstance(group, click.Group) and group.get_command(click.Context(group), words[1])
        if words[1:]
        else None
    )
    return command_line("ocattach", *words[: 2 if is_known else 1])


def fail(error: OcattachError, arguments: Sequence[str], program: str) -> NoReturn:
    """Report an error and exit with its code. An error without a hint gets a general one."""
    show(error.with_hint(next_step(error, program)), arguments)
    raise SystemExit(error.exit_code)


def show(error: OcattachError, arguments: Sequence[str]) -> None:
    """Print an error: as JSON on stdout if requested, else as text on stderr."""
    if is_json_asked_for(arguments):
        print_json({"error": error.to_json()})
    elif isinstance(error, InterruptedByUserError):
        click.echo(err=True)  # ends the line on which ^C was echoed
    else:
        say_error(error)


def next_step(error: OcattachError, program: str) -> str:
    """The general hint for an error that has none."""
    if error.exit_code in {NotTrustedError.exit_code, InterruptedByUserError.exit_code}:
        return ""
    if error.code == ConfigurationError.code:
        return "Correct it, then check: ocattach --list"
    if error.exit_code == UsageError.exit_code:
        return f"See: {program} --help"
    return "Check the setup of this machine: ocattach doctor"


def report_defect(
    arguments: Sequence[str], _kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Report an unexpected exception as a defect of ocattach and write the traceback to a file (`sys.excepthook`)."""
    show(as_error(error.with_traceback(trace), state_directory(os.environ) / FILE), arguments)


def allow_owner() -> None:
    """Take out of the umask what would keep this account from its own files, and links from their sockets."""
    os.umask(os.umask(stat.S_IRWXO | stat.S_IRWXG) & ~stat.S_IRWXU)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line. Always raises SystemExit, unless the process becomes the TUI."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    invocation = split(arguments)
    ours = invocation.words
    os.environ.update(with_home(os.environ))
    allow_owner()
    sys.excepthook = partial(report_defect, ours)
    log_thread_defects(state_directory(os.environ) / FILE)
    prepare_streams()
    try:
        os.environ.update(absolute_variables(os.environ))
    except UsageError as error:
        fail(error, ours, "ocattach")
    if COMPLETION in os.environ:
        load_function("commands.completion", "answer")(os.environ[COMPLETION], command, COMMANDS, load)
    name = ours[0] if ours and ours[0] in COMMANDS and not invocation.verb else None
    program = command_line("ocattach", *filter(None, [name or invocation.verb]))
    known = tuple(COMMANDS)
    with lost_output_reported():
        try:
            if (
                arguments[:1] == ["help"]
                and ours[0] not in COMMANDS
                and not invocation.verb
                and arguments[1:]
            ):
                raise load_function("usage", "unknown_command")(arguments[1], known)
            if name is None:
                command.main(list(ours), prog_name="ocattach", standalone_mode=False, obj=invocation)
            else:
                silence_libraries()
                rest = ("--", *invocation.tui_arguments) if invocation.tui_arguments else ()
                load(name).main([*ours[1:], *rest], prog_name=program, standalone_mode=False)
        except ConnectionNotFoundError as error:
            word = (
                ours[0]
                if ours and name is None and not invocation.verb and not ours[0].startswith("-")
                else ""
            )
            fail(load_function("usage", "with_meant_command")(error, word, known), ours, program)
        except OcattachError as error:
            fail(error, ours, program_of(invocation))
        except click.UsageError as error:
            program, said = program_of(invocation), load_function("usage", "plain")(error.format_message())
            hint = load_function("usage", "usage_hint")(error, program, ours, known)
            fail(UsageError(said, hint=hint), ours, program)
        except (click.Abort, KeyboardInterrupt):
            fail(InterruptedByUserError("Interrupted"), ours, program)
    raise SystemExit(0)


def load(name: str) -> click.Command:
    """Import a command of COMMANDS. Called to run it, to complete its options and for the manual page."""
    chosen: click.Command = load_function(name if name in GROUPS else f"commands.{name}", name)
    return chosen


def load_function(module: str, name: str) -> Any:
    """Import a function of a command when it is needed. `module` is relative to `ocattach.cli`."""
    return getattr(import_module(f"ocattach.cli.{module}"), name)
