"""The `ocattach` command: parses the command line, runs commands, reports errors and sets the exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import click

from ocattach.cli.command import advice, silence_libraries, timeout_option
from ocattach.cli.complete import connection_names, saved_names, session_ids
from ocattach.cli.information import print_schema, print_version
from ocattach.cli.main_help import EXAMPLES, MainCommand
from ocattach.cli.options import Options, where_options
from ocattach.cli.registry import ACTIONS, COMMANDS, load, load_function
from ocattach.cli.target import last_named, named_by_dash
from ocattach.cli.terminal import has_terminal, lost_output_reported, prepare_streams, say
from ocattach.cli.verbs import Invocation, applied, split
from ocattach.config.files.paths import state_directory
from ocattach.config.suggestion import LIST_ALL
from ocattach.config.variables import absolute_variables, with_home
from ocattach.defects import FILE, log_thread_defects
from ocattach.errors import (
    OcattachError,
    UsageError,
)
from ocattach.printable import command_line

COMPLETION = "_OCATTACH_COMPLETE"
"""The variable that the scripts of `ocattach completion` set when Tab is pressed."""


FIRST_STEPS = """\
No connections yet. To save one and attach to it:
  ocattach --save frontend docker://CONTAINER --workdir /app
  ocattach frontend"""


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
            hint=load_function("usage", "excess_hint")(options.targets),
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


def report_defect(words: Sequence[str], *defect: Any) -> None:
    """Report an exception that nothing else has reported (`sys.excepthook`)."""
    load_function("failures", "report_defect")(words, *defect)


def prepare(words: Sequence[str]) -> None:
    """Prepare the process: variables, streams, and reports of what is unforeseen."""
    os.environ.update(with_home(os.environ))
    sys.excepthook = partial(report_defect, words)
    log_thread_defects(state_directory(os.environ) / FILE)
    prepare_streams()


def run(invocation: Invocation) -> None:
    """Complete a word, or run the subcommand or what the options of the main command select."""
    os.environ.update(absolute_variables(os.environ))
    if COMPLETION in os.environ:
        load_function("commands.completion", "answer")(os.environ[COMPLETION], command, COMMANDS, load)
    if invocation.unknown_topic:
        raise load_function("usage", "unknown_command")(invocation.unknown_topic)
    name, words = invocation.subcommand, invocation.words
    if name is None:
        command.main(list(words), prog_name="ocattach", standalone_mode=False, obj=invocation)
        return
    silence_libraries()
    rest = ("--", *invocation.tui_arguments) if invocation.tui_arguments else ()
    program = command_line("ocattach", name)
    load(name).main([*words[1:], *rest], prog_name=program, standalone_mode=False)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line. Always raises SystemExit, unless the process becomes the TUI."""
    invocation = split(sys.argv[1:] if arguments is None else arguments)
    prepare(invocation.words)
    with lost_output_reported():
        try:
            run(invocation)
        except (OcattachError, click.UsageError, click.Abort, KeyboardInterrupt) as error:
            load_function("failures", "fail")(error, invocation)
    raise SystemExit(0)
