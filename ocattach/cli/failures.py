"""How the command line fails: what it prints, and with which exit code. Imported once there is something to report."""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

import click

from ocattach.cli.information import is_json_asked_for
from ocattach.cli.output import print_json
from ocattach.cli.registry import COMMANDS, GROUPS, load
from ocattach.cli.terminal import say_error
from ocattach.cli.usage import plain, usage_hint, with_meant_command
from ocattach.cli.verbs import Invocation
from ocattach.config.files.paths import state_directory
from ocattach.defects import FILE, as_error
from ocattach.errors import (
    ConfigurationError,
    ConnectionNotFoundError,
    InterruptedByUserError,
    NotTrustedError,
    OcattachError,
    UsageError,
)
from ocattach.printable import command_line


def fail(error: BaseException, invocation: Invocation) -> NoReturn:
    """Report an error, click's or an interruption, and exit with its code. One without a hint gets a general one."""
    program = program_of(invocation)
    known = understood(error, invocation, program)
    show(known.with_hint(next_step(known, program)), invocation.words)
    raise SystemExit(known.exit_code)


def understood(error: BaseException, invocation: Invocation, program: str) -> OcattachError:
    """The error in our own words."""
    if isinstance(error, ConnectionNotFoundError):
        word = "" if invocation.verb or invocation.subcommand else next(iter(invocation.words), "")
        return with_meant_command(error, "" if word.startswith("-") else word)
    if isinstance(error, OcattachError):
        return error
    if isinstance(error, click.UsageError):
        hint = usage_hint(error, program, invocation.words)
        return UsageError(plain(error.format_message()), hint=hint)
    return InterruptedByUserError("Interrupted")


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
