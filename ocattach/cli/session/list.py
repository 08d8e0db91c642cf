"""`ocattach session list`: the sessions of all environments."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from ocattach.cli.amounts import ago, moment, money
from ocattach.cli.command import Command, Decorated, timeout_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import print_json, problem_json
from ocattach.cli.person import Person
from ocattach.cli.tables import print_table, say_missing, say_notice
from ocattach.cli.terminal import say, terminal_width
from ocattach.config.suggestion import did_you_mean
from ocattach.config.variables import working_directory
from ocattach.opencode.activity import Activity
from ocattach.survey.collect import SessionCollector
from ocattach.survey.environment_status import EnvironmentState
from ocattach.survey.everywhere import everywhere
from ocattach.survey.session_list import ListedSession, Request, SessionList, SessionSource

EXAMPLES = """
ocattach session list                      list the latest sessions of all environments
ocattach session list --origin staging     list sessions that were created through staging
ocattach session list --since 2d --search rate
ocattach session list --offline            list what is in the local index, without connecting
ocattach session list -o jsonl | jq -r .id
"""

FIRST = 50
"""Sessions in a table, unless -n is given."""

SECONDS, WALK_SECONDS = 5.0, 60.0
"""Default timeouts for a limited number of sessions, and for all."""

COST_ROOM = 110
"""Width of a terminal, in columns, that has room for the cost of sessions."""


def origin_option(function: Decorated) -> Decorated:
    """Add `--origin NAME`, as `origins`."""
    option = click.option(
        "--origin",
        "origins",
        multiple=True,
        metavar="NAME",
        shell_complete=connection_names,
        help="Only sessions created through this connection; repeatable.",
    )
    return option(function)


@click.command(cls=Command, examples=EXAMPLES)
@origin_option
@click.option(
    "--all-directories",
    is_flag=True,
    help="With --origin: all sessions of its environment, in any directory.",
)
@click.option("--all", "children", is_flag=True, help="Include child sessions and archived sessions.")
@click.option("--search", metavar="TEXT", default="", help="Only sessions with this text in the title.")
@click.option("--since", metavar="SPAN", help="Only sessions updated within this time, such as 2d or 12h.")
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Maximum number of sessions; 0 for all. The default for tables is {FIRST}.",
)
@click.option(
    "--offline", is_flag=True, help="List what the local index has, without connecting to any environment."
)
@timeout_option(
    f"Timeout for the environments to answer (default {SECONDS:g}, for all sessions {WALK_SECONDS:g})."
)
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "jsonl"]), default="table", help="Output format."
)
def command(
    origins: tuple[str, ...],
    *,
    all_directories: bool,
    children: bool,
    search: str,
    since: str | None,
    limit: int | None,
    offline: bool,
    timeout: float | None,
    output: str,
) -> None:
    """List the sessions of all environments, the latest first. Starts no daemon."""
    if limit is None and output == "table":
        limit = FIRST
    request = Request(
        origins=origins,
        all_directories=all_directories,
        children=children,
        search=search,
        since=moment(since, "--since"),
        limit=limit or None,
        offline=offline,
        activity=True,
    )
    places = everywhere(cwd=working_directory(), environ=os.environ)
    gathering = SessionCollector(
        places, request, environ=os.environ, timeout=timeout or (SECONDS if request.limit else WALK_SECONDS)
    )
    with Person().asking():
        gathered = gathering.gather()
    if output == "json":
        print_json(list_json(gathered, places.problems))
        return
    if output == "jsonl":
        for listed in gathered.sessions:
            click.echo(json.dumps(listed_session_json(listed)))
    else:
        print_sessions(gathered.sessions)
    say_more(gathered, request, [spec.name for spec in places.specs if spec.name])
    for problem in places.problems:
        say_notice(f"! {problem.error.message}")


def print_sessions(sessions: Sequence[ListedSession]) -> None:
    """Print a table, with the sessions that wait for a person first and in yellow."""
    if not sessions:
        return
    has_room = not sys.stdout.isatty() or terminal_width(sys.stdout) >= COST_ROOM
    titles = ["ID", "State", "Origin", "Title", "Updated", *(["Cost"] if has_room else [])]
    titles += [] if all(listed.is_live for listed in sessions) else ["Known"]
    ordered = sorted(sessions, key=lambda listed: listed.activity != Activity.WAITING)
    found = [cells(listed) for listed in ordered]
    print_table(
        titles,
        [[row[title] for title in titles] for row in found],
        below=("Origin", "Title"),
        cuttable="Title",
        colours=["yellow" if listed.activity == Activity.WAITING else None for listed in ordered],
    )


def cells(listed: ListedSession) -> dict[str, str]:
    """The cells of a row by column title."""
    session = listed.session
    return {
        "ID": session.id,
        "Origin": session.origin,
        "Title": session.title,
        "Updated": ago(session.updated / 1000),
        "State": listed.activity or "",
        "Cost": money(session.cost),
        "Known": "now" if listed.is_live else ago(listed.asked),
    }


def say_more(gathered: SessionList, request: Request, known: Iterable[str]) -> None:
    """Print what is missing from the list, and why. `known` are the names of connections."""
    if not gathered.sessions:
        say_none(request, known)
    say_notes(gathered)
    if gathered.more:
        least = "" if gathered.is_exact else "At least "
        say(f"{least}{gathered.more} more. To list all: -n 0")


def say_none(request: Request, known: Iterable[str]) -> None:
    """Print that there are no sessions: none that match, or none at all."""
    if request.origins or request.search or request.since:
        say("No sessions match. To list all: ocattach session list")
    else:
        say('No sessions found. To start one: ocattach session send NAME "PROMPT"')
    for name in sorted({*request.origins} - {*known}):
        say_notice(f"! No connection is named {name}. {did_you_mean(name, known)}")


def say_notes(gathered: SessionList) -> None:
    """Print which environments did not answer completely, and problems with the index."""
    say_missing("Not current", [source_words(source) for source in gathered.sources if is_lacking(source)])
    for note in gathered.notes:
        say_notice(f"! {note}")


def is_lacking(source: SessionSource) -> bool:
    """Whether an environment did not answer completely, unless it is a stopped one without sessions."""
    return source.error is not None and (
        source.state is not EnvironmentState.STOPPED or source.asked is not None
    )


def source_words(source: SessionSource) -> tuple[str, str]:
    """The notice about an environment that did not answer completely: short, and with the reason."""
    reason = source.error.headline if source.error else ""
    if source.has_answered:
        return f"{source.name} (incomplete)", f"{source.name} answered incompletely: {reason}"
    age = "" if source.asked is None else f"as of {ago(source.asked)}"
    known = f"sessions {age}" if age else "its sessions are unknown"
    short = ", ".join(filter(None, (str(source.state), age)))
    return f"{source.name} ({short})", f"{source.name} is {source.state}, {known}: {reason}"


def list_json(gathered: SessionList, problems: Sequence[Any]) -> dict[str, Any]:
    """The list as JSON."""
    return {
        "sessions": [listed_session_json(listed) for listed in gathered.sessions],
        "more": gathered.more,
        "environments": [source_json(source) for source in gathered.sources],
        "notes": gathered.notes,
        "problems": [problem_json(problem) for problem in problems],
    }


def listed_session_json(listed: ListedSession) -> dict[str, Any]:
    """A session as JSON; `created`, `updated` and `archived` are in milliseconds since the epoch."""
    record = asdict(listed.session)
    record.pop("is_native")
    return {**record, "state": listed.activity, "live": listed.is_live, "asked": listed.asked}


def source_json(source: SessionSource) -> dict[str, Any]:
    """An environment as JSON; `asked` is in seconds since the epoch."""
    error = source.error
    return {
        "id": source.id,
        "names": [spec.name for spec in source.specs if spec.name],
        "uri": source.specs[0].display(),
        "state": source.state,
        "asked": source.asked,
        "whole": source.is_whole,
        "error": error and error.to_json(),
    }
