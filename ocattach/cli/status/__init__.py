"""`ocattach --status`: how all environments stand, side by side."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocattach.cli.command import silence_libraries
from ocattach.cli.options import Options
from ocattach.cli.output import describe, describe_problem, print_json, say_problems
from ocattach.cli.terminal import say
from ocattach.config.files.paths import state_directory
from ocattach.config.resolver import list_connections, resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import TrustLedger
from ocattach.errors import UsageError
from ocattach.sessions.origins import Names
from ocattach.survey.environment_status import EnvironmentStatus
from ocattach.survey.everywhere import SurveyedConnection, everywhere, refusal
from ocattach.survey.status import Survey

if TYPE_CHECKING:
    from ocattach.config.files.safe import Problem

SECONDS = 5.0
"""How long is waited for an answer, unless --timeout says otherwise."""

LOOK_SECONDS = 0.1


def status(options: Options) -> None:
    """Show how connections stand; nothing is started, and nobody is asked a question."""
    if options.watch:
        check_watch(options)
    silence_libraries()
    specs, problems = asked_about(options)
    if not specs and not problems:
        no_connections(options)
        return
    ledger = TrustLedger(state_directory(os.environ))
    entries = [SurveyedConnection(spec, refusal(spec, ledger, os.environ)) for spec in specs]
    names = Names(everywhere(cwd=Path.cwd(), environ=os.environ).specs, os.environ)
    timeout = options.timeout or SECONDS
    with Survey(entries, environ=os.environ, timeout=timeout, names=names) as survey:
        if options.watch:
            from ocattach.cli.status.watch import watch  # noqa: PLC0415 - for who stays

            chosen = watch(survey)
        else:
            look_once(survey, options, problems)
            return
    if chosen is not None:
        attach_to(specs[chosen], options)


def check_watch(options: Options) -> None:
    """Raise UsageError where nobody could watch."""
    if options.output == "json" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--watch needs a terminal", hint="For scripts: ocattach --status -o json")


def asked_about(options: Options) -> tuple[list[ConnectionSpec], Sequence["Problem"]]:
    """The connections that were named, or all; and the files that could not be read."""
    cwd = Path.cwd()
    if options.targets:
        named = dict.fromkeys(options.targets)
        return [as_links_know(resolve(name, cwd=cwd, environ=os.environ)) for name in named], ()
    listing = list_connections(cwd=cwd, environ=os.environ)
    return [as_links_know(listed.spec) for listed in listing.connections], listing.problems


def as_links_know(spec: ConnectionSpec) -> ConnectionSpec:
    """The connection as it is when it is used."""
    return spec.settled(os.environ).with_default_workdir(Path.cwd())


def no_connections(options: Options) -> None:
    """Say that there is nothing to ask about."""
    if options.output == "json":
        print_document([], [], (), took=0.0, timeout=options.timeout or SECONDS)
    else:
        say("No connections yet. Save one: ocattach --save NAME docker://CONTAINER:/DIR")


def look_once(survey: Survey, options: Options, problems: Sequence["Problem"]) -> None:
    """Ask once and print what came of it; on a terminal the rows fill in as the answers come."""
    from ocattach.cli.status.table import print_columns, shown  # noqa: PLC0415 - for people

    began = time.monotonic()
    survey.ask()
    if options.output == "json":
        await_all(survey)
        print_document(
            survey.entries, survey.statuses(), problems, took=time.monotonic() - began, timeout=survey.timeout
        )
        say_notices(survey)
        return
    if sys.stdout.isatty():
        with shown(survey) as refresh:
            while not survey.is_done:
                survey.await_change(LOOK_SECONDS)
                refresh()
    else:
        await_all(survey)
        print_columns(survey)
    say_problems(problems)
    say_notices(survey)


def say_notices(survey: Survey) -> None:
    """Tell what is beside the question, and must not go unsaid."""
    for notice in survey.notices:
        say(f"! {notice}", colour="yellow")


def await_all(survey: Survey) -> None:
    """Return when each has answered or had its time."""
    while not survey.is_done:
        survey.await_change(LOOK_SECONDS)


def print_document(
    entries: Sequence[SurveyedConnection],
    findings: Sequence[EnvironmentStatus | None],
    problems: Sequence["Problem"],
    *,
    took: float,
    timeout: float,
) -> None:
    """Print what was found out for scripts."""
    pairs = zip(entries, findings, strict=True)
    print_json(
        {
            "environments": [
                {**describe(entry.spec), **describe_finding(finding)}
                for entry, finding in pairs
                if finding is not None
            ],
            "problems": [describe_problem(problem) for problem in problems],
            "timeout": timeout,
            "took": round(took, 3),
        }
    )


def describe_finding(finding: EnvironmentStatus) -> dict[str, Any]:
    """A finding for scripts; `asked` is in seconds since the epoch, `age` in seconds."""
    known = finding.last_known
    return {
        "state": finding.state,
        "port": finding.port,
        "version": finding.version,
        "reason": finding.reason,
        "hint": finding.hint,
        "through": finding.through,
        "asked": finding.asked,
        "age": round(max(0.0, time.time() - finding.asked), 3),
        "last_known": None if known is None else asdict(known),
        "doing": finding.doing and dict(finding.doing),
        "sessions": finding.sessions and finding.sessions.to_json(),
        "link": finding.link,
    }


def attach_to(spec: ConnectionSpec, options: Options) -> None:
    """Become the TUI of a connection that was chosen."""
    from ocattach.cli.commands.attach import attach  # noqa: PLC0415

    target = spec.name or next(text for text in options.targets if as_links_know_text(text) == spec)
    attach(replace(options, targets=(target,), status=False, watch=False, timeout=None))


def as_links_know_text(text: str) -> ConnectionSpec:
    """The connection that a word of the command line means."""
    return as_links_know(resolve(text, cwd=Path.cwd(), environ=os.environ))
