"""`ocattach --status`: the state of all environments in one table."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from types import FrameType
from typing import Any

import click

from ocattach.cli.command import silence_libraries
from ocattach.cli.keys import ENDING_SIGNALS, Keyboard, end_process, signals_handled
from ocattach.cli.options import Options
from ocattach.cli.output import connection_json, print_json, problem_json, say_problems
from ocattach.cli.terminal import is_dumb, say
from ocattach.config.files.safe import Problem
from ocattach.config.resolver import list_connections, resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.config.variables import working_directory
from ocattach.errors import DefectError, UsageError
from ocattach.printable import command_line
from ocattach.sessions.origins import Names
from ocattach.survey.environment_status import EnvironmentStatus
from ocattach.survey.everywhere import SurveyedConnection, everywhere, pinned, refusal
from ocattach.survey.status import Survey

SECONDS = 5.0
"""Default timeout for each environment to answer."""

LOOK_SECONDS = 0.1

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""Signals that the terminal sends to the other process, too."""

SHOWN = ("state", "port", "version", "reason", "hint", "through", "asked")


def status(options: Options) -> None:
    """Print the state of connections. Starts no daemon and asks no questions."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if options.watch and (options.output == "json" or not is_terminal):
        raise UsageError("--watch requires a terminal", hint="For scripts: ocattach --status -o json")
    silence_libraries()
    specs, problems = asked_about(options)
    if not specs and not problems and options.output != "json":
        say("No connections found. To save one: ocattach --save NAME docker://CONTAINER:/DIR")
        return
    if options.output == "name":
        for spec in specs:
            click.echo(spec.name or spec.display())
        return
    if not options.watch:
        with survey_of(specs, options) as survey:
            look_once(survey, options, problems)
        return
    selected: int | None = None
    while specs and (opened := watch_until_opened(specs, options, selected)) is not None:
        selected, arguments = opened
        run_ocattach(arguments)
        specs, _ = asked_about(options)  # what was opened may be approved now


def survey_of(specs: Sequence[ConnectionSpec], options: Options) -> Survey:
    """Make the survey of these connections; sessions are counted by the names of all connections."""
    entries = [SurveyedConnection(spec, refusal(spec, os.environ)) for spec in specs]
    names = Names(everywhere(cwd=working_directory(), environ=os.environ).specs, os.environ)
    return Survey(entries, environ=os.environ, timeout=options.timeout or SECONDS, names=names)


def watch_until_opened(
    specs: Sequence[ConnectionSpec], options: Options, selected: int | None
) -> tuple[int, list[str]] | None:
    """Show the watch; return the row that the user opens with the arguments that do it, None if the user quits."""
    from ocattach.cli.status.watch import watch  # noqa: PLC0415 - heavy (rich)

    with survey_of(specs, options) as survey:
        opened = watch(survey, selected)
    if opened is None:
        return None
    number, session = opened
    target = specs[number].name or [*dict.fromkeys(options.targets)][number]
    return number, ["session", "open", session] if session else [target]


def asked_about(options: Options) -> tuple[list[ConnectionSpec], Sequence[Problem]]:
    """The named connections or all, and problems in files."""
    cwd = working_directory()
    problems: Sequence[Problem] = ()
    if options.targets:
        specs = [resolve(name, cwd=cwd, environ=os.environ) for name in dict.fromkeys(options.targets)]
    else:
        listing = list_connections(cwd=cwd, environ=os.environ)
        specs, problems = [listed.spec for listed in listing.connections], listing.problems
    return [pinned(spec, os.environ).with_default_workdir(cwd) for spec in specs], problems


def look_once(survey: Survey, options: Options, problems: Sequence[Problem]) -> None:
    """Query once and print the result; on a terminal rows are filled in as answers arrive.

    Exits with 1 if a bug in ocattach is the reason for a state.
    """
    from ocattach.cli.status.table import print_columns, shown, summary  # noqa: PLC0415 - heavy (rich)

    began = time.monotonic()
    survey.ask()
    is_drawn = options.output == "table" and not options.short and sys.stdout.isatty() and not is_dumb()
    with shown(survey) if is_drawn else nullcontext(lambda: None) as refresh:
        while not survey.is_done:
            survey.await_change(LOOK_SECONDS)
            refresh()
    if options.output == "json":
        print_document(survey, problems, took=time.monotonic() - began)
    elif options.short:
        click.echo(summary(survey))
        return
    else:
        if not is_drawn:
            print_columns(survey)
        say_problems(problems)
    for notice in survey.notices:
        say(f"! {notice}", colour="yellow")
    if any(status is None or status.is_defect for status in survey.statuses()):
        raise SystemExit(DefectError.exit_code)


def print_document(survey: Survey, problems: Sequence[Problem], *, took: float) -> None:
    """Print the result as JSON."""
    pairs = zip(survey.entries, survey.statuses(), strict=True)
    print_json(
        {
            "environments": [
                {**connection_json(entry.spec), **status_json(finding)}
                for entry, finding in pairs
                if finding is not None
            ],
            "problems": [problem_json(problem) for problem in problems],
            "timeout": survey.timeout,
            "took": round(took, 3),
        }
    )


def status_json(finding: EnvironmentStatus) -> dict[str, Any]:
    """The status of an environment as JSON; `asked` is in seconds since the epoch, `age` in seconds."""
    known, counted = finding.last_known, finding.sessions
    return {
        **{key: getattr(finding, key) for key in SHOWN},
        "age": round(max(0.0, time.time() - finding.asked), 3),
        "last_known": None if known is None else asdict(known),
        "doing": finding.doing and dict(finding.doing),
        "sessions": counted
        and {
            "count": counted.count,
            "whole": counted.is_whole,
            "cost": round(counted.cost, 6),
            "asked": counted.asked,
        },
        "link": finding.link,
    }


def run_ocattach(arguments: Sequence[str]) -> None:
    """Run ocattach with these arguments to its end; if it fails, wait for a key, so that its error can be read."""
    ignored = dict.fromkeys(FROM_TERMINAL, ignore)
    with (
        signals_handled({**ignored, **dict.fromkeys(ENDING_SIGNALS, end_process)}),
        subprocess.Popen([sys.executable, "-P", "-m", "ocattach", *arguments]) as process,
    ):
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code:
        command = command_line("ocattach", *arguments)
        # Unlike click.pause, this keeps a key that was pressed as soon as the question was there.
        with suppress(KeyboardInterrupt, EOFError), Keyboard() as keyboard:
            click.echo(
                f"{command} ended with exit code {code}. Press any key to return to the table", err=True
            )
            keyboard.read_key()


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Signal handler: do nothing. Unlike SIG_IGN it is not passed on to other programs (execve(2))."""
