"""`ocattach session waiting`: what sessions wait for people to answer, in all environments."""

import os
from typing import Any

import click

from ocattach.cli.approval import require_trust
from ocattach.cli.command import Command, advice, output_option, timeout_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.tables import print_table, say_missing
from ocattach.cli.target import connection_argument
from ocattach.cli.terminal import say
from ocattach.config.resolver import resolve
from ocattach.config.variables import working_directory
from ocattach.errors import DaemonNotRunningError, OcattachError
from ocattach.opencode.pending import by_kind
from ocattach.survey.everywhere import SurveyedConnection, everywhere
from ocattach.survey.find import FIND_SECONDS
from ocattach.survey.pending import FoundRequest, ambiguous, ask

SECONDS = 5.0
"""Timeout for all environments, some of which may be down, as that of `session list`."""

EXAMPLES = """
ocattach session waiting                 list pending requests in all environments
ocattach session waiting staging         list those of one environment
ocattach session reply per_0123 once     answer a permission request: once, always or reject
ocattach session answer que_0123 yes     answer a question
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("names", "[NAME]...", nargs=-1)
@timeout_option(
    f"Timeout for the environments to answer (default {SECONDS:g}, for those named {FIND_SECONDS:g})."
)
@output_option
def command(names: tuple[str, ...], *, timeout: float | None, output: str) -> None:
    """List permission requests and questions that wait for an answer. Starts no daemon."""
    timeout = timeout or (FIND_SECONDS if names else SECONDS)
    entries = entries_of(names)
    found: list[FoundRequest] = []
    silent: list[tuple[str, OcattachError]] = []
    with Person().asking():
        results = list(ask(entries, os.environ, timeout=timeout))
    for result in results:
        found += result.answer or []
        if result.error is not None:
            silent.append((", ".join(spec.title() for spec in result.specs), result.error))
    if len(names) == 1 and silent:
        with advice(names[0]):
            raise silent[0][1]
    if output == "json":
        print_json(document(found, silent))
        return
    print_requests(found)
    for identifier in ambiguous(found, entries, os.environ):
        say(f"! {identifier} is reported by several environments; answer it in a TUI", colour="yellow")
    notices = [
        (title.partition(" (")[0], f"{title} could not be queried: {error.headline}")
        for title, error in silent
        if not isinstance(error, DaemonNotRunningError)  # no daemon, no requests
    ]
    say_missing("Not queried", notices)


def entries_of(names: tuple[str, ...]) -> tuple[SurveyedConnection, ...]:
    """All connections, or the named ones, once they are trusted."""
    if not names:
        return everywhere(cwd=working_directory(), environ=os.environ).entries
    specs = [resolve(name, cwd=working_directory(), environ=os.environ) for name in names]
    for spec in specs:
        require_trust(spec, trust=False, environ=os.environ)
    return tuple(SurveyedConnection(spec.pinned(os.environ)) for spec in specs)


def print_requests(found: list[FoundRequest]) -> None:
    """Print the requests, and how to answer them."""
    if not found:
        say("Nothing waits for an answer")
        return
    rows = [
        [each.request.id, each.session.origin, each.request.wanted, each.session.id, each.session.title]
        for each in found
    ]
    titles = ("ID", "Origin", "Waits for", "Session", "Title")
    print_table(titles, rows, below={"Waits for", "Session", "Title"}, cuttable="Title")
    kinds = {each.request.kind for each in found}
    if "permission" in kinds:
        say("To answer a permission request: ocattach session reply ID once|always|reject")
    if "question" in kinds:
        say("To answer a question: ocattach session answer ID LABEL...")


def document(found: list[FoundRequest], silent: list[tuple[str, OcattachError]]) -> dict[str, Any]:
    """The requests as JSON; `always` lists the patterns that the reply "always" would allow."""

    def as_json(each: FoundRequest) -> dict[str, Any]:
        session = {**each.session.identity_json(), "directory": each.request.directory}
        return {"id": each.request.id, **each.request.details, "session": session}

    return {
        **by_kind((each.request, as_json(each)) for each in found),
        "unasked": [{"name": title, "error": error.to_json()} for title, error in silent],
    }
