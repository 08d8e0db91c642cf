"""`ocattach session list`: the sessions of all environments at once."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ocattach.cli.amounts import ago, moment, money
from ocattach.cli.columns import GAP, cut, lines, width
from ocattach.cli.command import Command
from ocattach.cli.output import describe_problem, print_json
from ocattach.cli.session.options import origin_option
from ocattach.cli.terminal import escape, say
from ocattach.config.files.paths import state_directory
from ocattach.sessions.index import index_file
from ocattach.survey.collect import SessionCollector
from ocattach.survey.environment_status import EnvironmentState
from ocattach.survey.everywhere import everywhere
from ocattach.survey.session_list import ListedSession, Request, SessionList, SessionSource

EXAMPLES = """
ocattach session list                      the latest, wherever they are
ocattach session list --origin staging     those that began in one environment
ocattach session list --since 2d --search rate
ocattach session list --offline            what is known, without asking anybody
ocattach session list -o jsonl | jq -r .id
"""

FIRST = 50
"""Sessions of a table, unless -n says otherwise."""

SECONDS, WALK_SECONDS = 5.0, 60.0
"""How long is waited for the latest sessions, and for all."""

ROOM = 110
"""Columns of a terminal that has room for what sessions do and cost."""

SHORTEST_TITLE = 16


@click.command(
    cls=Command,
    help="List the sessions of all environments at once, the latest first. Nothing is started.",
    examples=EXAMPLES,
)
@origin_option
@click.option(
    "--all-directories", is_flag=True, help="With --origin: all of its environment, in whichever directory."
)
@click.option(
    "--all", "children", is_flag=True, help="Also those that other sessions have made, and archived ones."
)
@click.option("--search", metavar="TEXT", default="", help="Those with this in their title.")
@click.option("--since", metavar="SPAN", help="Updated within this time, such as 2d or 12h.")
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"At most so many; 0: all. A table has {FIRST}.",
)
@click.option("--offline", is_flag=True, help="Ask nobody: what was known when each was last asked.")
@click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="How long answers may take.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "jsonl"]),
    default="table",
    help="How to print data.",
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
    """Gather and print."""
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
        activity=output != "table" or is_wide(terminal_columns()),
    )
    places = everywhere(cwd=Path.cwd(), environ=os.environ)
    gathering = SessionCollector(
        places,
        request,
        index=index_file(state_directory(os.environ)),
        environ=os.environ,
        timeout=timeout or (SECONDS if request.limit else WALK_SECONDS),
    )
    gathered = gathering.gather()
    if output == "json":
        print_json(describe(gathered, places.problems))
        return
    if output == "jsonl":
        for listed in gathered.sessions:
            click.echo(json.dumps(describe_session(listed)))
    else:
        print_table(gathered.sessions)
    say_more(gathered)
    for problem in places.problems:
        say(f"! {problem.error.message}", colour="yellow")


def terminal_columns() -> int | None:
    """How wide the terminal is; None where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def is_wide(columns: int | None) -> bool:
    """Whether there is room for what sessions do and cost; where there is none, daemons are not asked for it."""
    return columns is None or columns >= ROOM


def print_table(sessions: Sequence[ListedSession]) -> None:
    """Print rows: as wide as the terminal is, or as they are where there is none."""
    columns = terminal_columns()
    titles = ["ID", "Origin", "Title", "Updated"]
    titles += ["State", "Cost"] if is_wide(columns) else []
    titles += [] if all(listed.is_live for listed in sessions) else ["Known"]
    rows = [cells(listed) for listed in sessions]
    if columns is not None:
        widths = [
            max([len(title), *(width(row[title]) for row in rows)]) for title in titles if title != "Title"
        ]
        room = max(SHORTEST_TITLE, columns - sum(widths) - GAP * len(widths))
        for row in rows:
            row["Title"] = cut(row["Title"], room)
    if rows:
        click.echo("\n".join(lines([titles, *([row[title] for title in titles] for row in rows)])))


def cells(listed: ListedSession) -> dict[str, str]:
    """A row by its titles; nothing in it can drive the terminal, or look like another row."""
    session = listed.session
    texts = {
        "ID": session.id,
        "Origin": session.origin,
        "Title": session.title,
        "Updated": ago(session.updated / 1000),
        "State": listed.activity or "",
        "Cost": money(session.cost),
        "Known": "now" if listed.is_live else ago(listed.asked),
    }
    return {title: escape(text).replace("\n", " ") for title, text in texts.items()}


def say_more(gathered: SessionList) -> None:
    """Say what is not in the list, and why."""
    if not gathered.sessions:
        say('No sessions found. To start one: ocattach session send NAME "PROMPT"')
    say_notes(gathered)
    if gathered.more:
        least = "" if gathered.is_exact else "At least "
        say(f"{least}{gathered.more} more; all with -n 0")


def say_notes(gathered: SessionList) -> None:
    """Say which environments have not told all, and what became of the index."""
    for source in gathered.sources:
        for text in source_words(source):
            say(text, colour="yellow")
    for note in gathered.notes:
        say(f"! {note}", colour="yellow")


def source_words(source: SessionSource) -> Iterable[str]:
    """What is to be said of an environment that has not told all."""
    if source.error is None or (source.state is EnvironmentState.STOPPED and source.asked is None):
        return
    reason = source.error.message.strip().splitlines()[0]
    if source.has_answered:
        yield f"! {source.name} has not told all: {reason}"
        return
    known = "nothing is known of its sessions" if source.asked is None else f"as of {ago(source.asked)}"
    yield f"! {source.name} is {source.state}, {known}: {reason}"


def describe(gathered: SessionList, problems: Sequence[Any]) -> dict[str, Any]:
    """The list for scripts."""
    return {
        "sessions": [describe_session(listed) for listed in gathered.sessions],
        "more": gathered.more,
        "environments": [describe_source(source) for source in gathered.sources],
        "notes": gathered.notes,
        "problems": [describe_problem(problem) for problem in problems],
    }


def describe_session(listed: ListedSession) -> dict[str, Any]:
    """A session for scripts; `created`, `updated` and `archived` are OpenCode's milliseconds since the epoch."""
    record = asdict(listed.session)
    record.pop("is_native")
    return {**record, "state": listed.activity, "live": listed.is_live, "asked": listed.asked}


def describe_source(source: SessionSource) -> dict[str, Any]:
    """An environment for scripts; `asked` is in seconds since the epoch."""
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
