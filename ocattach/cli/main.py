"""The `ocattach` command: parses, dispatches, and turns every error into a message and an exit code."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any, NoReturn

import click

from ocattach import __version__
from ocattach.cli.command import Command, advice, output_option, silence_libraries
from ocattach.cli.complete import connection_names, saved_names
from ocattach.cli.options import Options
from ocattach.cli.output import print_json
from ocattach.cli.schema import print_schema
from ocattach.cli.terminal import Person, has_terminal
from ocattach.errors import (
    ConfigurationError,
    InterruptedByUserError,
    NotTrustedError,
    OcattachError,
    UsageError,
)

COMPLETION = "_OCATTACH_COMPLETE"
"""Set by the scripts of `ocattach completion`, when somebody presses Tab."""


EXAMPLES = """
ocattach --save frontend docker://frontend-app --workdir /app
ocattach frontend                    connect: starts the daemon if needed, opens the TUI
ocattach                             choose among all connections
ocattach ssh://staging:/var/www/app  connect without saving
ocattach frontend --print-url        for OpenCode Desktop, an SDK or curl
ocattach --list                      saved by you, and defined by the project
"""

SECTIONS = {
    "Attach": ("workdir", "session", "continue_", "fork", "print_url", "no_start", "trust", "timeout"),
    "Connections": ("save", "list_", "status", "watch", "remove", "disconnect", "stop", "all_", "force"),
    "Where": ("user", "identity", "port", "namespace", "context", "container"),
    "Output": ("output", "verbose", "quiet", "schema", "version"),
}

COMMANDS = {
    "completion": "Print the script by which a shell completes names, options and commands.",
    "doctor": "Find what is wrong with a connection, or with this machine.",
    "explain": "Tell what would be run, where, and which file says so.",
    "logs": "Show what the link of NAME did, and when.",
    "session": "List, show and continue the sessions of all environments.",
    "trust": "Approve the connections that a project defines, or take that back.",
}
"""Commands besides the main one, each the function of its name in the module of its name."""

GROUPS = {"session"}
"""Those with commands of their own, each in a package of its name."""


class MainCommand(Command):
    """The main command; its help shows the options in groups, and the other commands."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the two forms of a command line."""
        super().format_usage(ctx, formatter)
        formatter.write_usage("ocattach", "COMMAND ...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each under what it is for."""
        records = {parameter.name: parameter.get_help_record(ctx) for parameter in self.get_params(ctx)}
        for title, names in SECTIONS.items():
            rows = [record for name in names if (record := records.get(name))]
            with formatter.section(title):
                formatter.write_dl(rows)
        with formatter.section("Commands (ocattach COMMAND --help)"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=MainCommand,
    help="Open the OpenCode TUI on the daemon in a container, on a host or in a pod.",
    examples=EXAMPLES,
    options_metavar="[OPTIONS]",
)
@click.argument("targets", nargs=-1, metavar="NAME|URI [-- TUI-ARGS...]", shell_complete=connection_names)
@click.option("--save", metavar="NAME", help="Save URI and options under NAME; does not connect.")
@click.option("--list", "list_", is_flag=True, help="Show the connections you saved and the project's.")
@click.option("--status", is_flag=True, help="Show how all connections stand, or those named.")
@click.option("--watch", is_flag=True, help="With --status: go on looking, and act on what is seen.")
@click.option("--remove", metavar="NAME", shell_complete=saved_names, help="Remove a saved connection.")
@click.option("--disconnect", is_flag=True, help="End the link of NAME (or --all); the daemon stays.")
@click.option("--stop", is_flag=True, help="End the daemon of NAME, and the link.")
@click.option("--all", "all_", is_flag=True, help="With --disconnect: every link.")
@click.option("--force", is_flag=True, help="Save over a taken name; stop a daemon ocattach did not start.")
@click.option("--workdir", metavar="DIR", help="Directory in the environment, absolute or ~/…")
@click.option("-s", "--session", metavar="ID", help="Open this session.")
@click.option("-c", "--continue", "continue_", is_flag=True, help="Open the last session.")
@click.option("--fork", is_flag=True, help="Fork the session that is opened.")
@click.option("--print-url", is_flag=True, help="Print the local URL instead of opening the TUI.")
@click.option("--no-start", is_flag=True, help="Do not start a daemon.")
@click.option("--trust", is_flag=True, help="Accept this project definition as it now stands.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="For the whole way; default 60, for --status 5.",
)
@click.option("--user", metavar="NAME", help="User to be in the environment.")
@click.option("--identity", type=click.Path(), metavar="FILE", help="ssh: private key.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="ssh: port of the server.")
@click.option("--namespace", metavar="NAME", help="k8s: namespace.")
@click.option("--context", metavar="NAME", help="k8s: context of the kubeconfig.")
@click.option("--container", metavar="NAME", help="k8s: container of the pod.")
@output_option
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what goes wrong.")
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_schema,
    help="Print the JSON Schema of a project's files, for editors.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def command(ctx: click.Context, /, **parameters: Any) -> None:
    """Do what the options ask for: `help` above is what people read."""
    options = Options(tui_arguments=tuple(ctx.obj), **parameters)
    if not options.status:
        refuse_without_status(options)
    with advice(options.target):
        action(options, ctx)(options)


def refuse_without_status(options: Options) -> None:
    """Raise UsageError for what means something with --status alone."""
    if options.watch:
        raise UsageError("--watch goes with --status", hint="ocattach --status --watch")
    if len(options.targets) > 1:
        raise UsageError(
            f"One connection at a time, not also {options.targets[1]}",
            hint="Only --status takes several. Arguments for the TUI come after --",
        )


def action(options: Options, ctx: click.Context) -> Callable[[Options], None]:
    """The function that does it, imported only now: connecting need not load what tables need."""
    if options.status:
        from ocattach.cli.status import status  # noqa: PLC0415

        return status
    asked = [name for name in ("save", "list_", "remove", "disconnect", "stop") if getattr(options, name)]
    if len(asked) > 1:
        first, second = (name.strip("_") for name in asked[:2])
        raise UsageError(f"--{first} and --{second} cannot be asked for at once")
    if asked:
        from ocattach.cli.commands import connections  # noqa: PLC0415

        chosen: Callable[[Options], None] = getattr(connections, asked[0])
        return chosen
    from ocattach.cli.commands.attach import attach  # noqa: PLC0415

    if options.target is not None:
        return attach
    picked = picked_name(options)
    if picked is None:
        click.echo(ctx.get_help(), err=True)
        raise SystemExit(UsageError.exit_code)
    return lambda _: attach(replace(options, targets=(picked,)))


def picked_name(options: Options) -> str | None:
    """The connection that the person chooses; None where nobody is there, or there is nothing to choose."""
    if options.output == "json":
        raise UsageError(
            "Which connection? NAME or URI is missing", hint="All are listed by: ocattach --list"
        )
    if not (has_terminal() and (options.print_url or sys.stdout.isatty())):
        return None
    from ocattach.cli.commands.picker import pick  # noqa: PLC0415

    return pick()


def fail(error: OcattachError, arguments: Sequence[str], program: str) -> NoReturn:
    """Report an error as asked for, and exit with its code. Where it names no next step, there is always one."""
    if not error.hint:
        error.hint = next_step(error, program)
    show(error, arguments)
    raise SystemExit(error.exit_code)


def show(error: OcattachError, arguments: Sequence[str]) -> None:
    """Report an error to people or to a script."""
    if wants_json(arguments):
        print_json({"error": error.to_json()})
    elif isinstance(error, InterruptedByUserError):
        click.echo(err=True)  # they know; what comes next stands on a line of its own
    else:
        Person().error(error)


def next_step(error: OcattachError, program: str) -> str:
    """What to type where nobody who knows more has said so."""
    if error.exit_code in {NotTrustedError.exit_code, InterruptedByUserError.exit_code}:
        return ""
    if error.code == ConfigurationError.code:
        return "Correct it, and look again: ocattach --list"
    if error.exit_code == UsageError.exit_code:
        return f"See: {program} --help"
    return "See whether all is well here: ocattach doctor"


JSON_ASKED_FOR = re.compile(r"(?:^|\0)(?:-[a-z]*o\0?|--output[\0=])json(?:\0|$)")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `-o json` was asked for, also where the rest of the command line could not be parsed."""
    return JSON_ASKED_FOR.search("\0".join(arguments)) is not None


def report_defect(
    arguments: Sequence[str], kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say that this is our fault, and keep the details in a file: a traceback helps nobody on a terminal."""
    import traceback  # noqa: PLC0415 - only when all else has failed

    from ocattach.config.files.paths import state_directory  # noqa: PLC0415
    from ocattach.config.files.safe import write_text  # noqa: PLC0415

    file = state_directory(os.environ) / "defect.log"
    write_text(file, "".join(traceback.format_exception(kind, error, trace)))
    defect = OcattachError(f"This is a defect of ocattach: {error!r}", hint=f"Please report it, with {file}")
    show(defect, arguments)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; always ends by SystemExit, or as the TUI."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    ours = arguments[:split]
    sys.excepthook = partial(report_defect, ours)
    if COMPLETION in os.environ:
        from ocattach.cli.commands.completion import answer  # noqa: PLC0415 - when somebody presses Tab

        answer(os.environ[COMPLETION], command, COMMANDS, load)
    name = ours[0] if ours and ours[0] in COMMANDS else None
    program = "ocattach" if name is None else f"ocattach {name}"
    try:
        if name is None:
            command.main(ours, prog_name=program, standalone_mode=False, obj=arguments[split + 1 :])
        else:
            silence_libraries()
            load(name).main(arguments[1:], prog_name=program, standalone_mode=False)
    except OcattachError as error:
        fail(error, ours, program)
    except click.UsageError as error:
        fail(UsageError(error.format_message(), hint=usage_hint(program, ours)), ours, program)
    except (click.Abort, KeyboardInterrupt):
        fail(InterruptedByUserError("Interrupted"), ours, program)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    raise SystemExit(0)


def load(name: str) -> click.Command:
    """Import one of COMMANDS when it is run; called for completion and for the manual page, too."""
    package = "ocattach.cli" if name in GROUPS else "ocattach.cli.commands"
    chosen: click.Command = getattr(import_module(f"{package}.{name}"), name)
    return chosen


def usage_hint(program: str, arguments: Sequence[str]) -> str:
    """Where the right way to say it is told; a command that does not come first is a common slip."""
    late = next((word for word in arguments[1:] if word in COMMANDS), None)
    return f"A command comes first: ocattach {late} ..." if late else f"See: {program} --help"
