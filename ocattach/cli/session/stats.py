"""`ocattach session stats`: tokens and cost by origin and model."""

import os
from collections.abc import Sequence
from dataclasses import asdict

import click

from ocattach.cli.amounts import moment, money
from ocattach.cli.columns import lines
from ocattach.cli.command import Command, output_option, timeout_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.session.list import WALK_SECONDS, origin_option, say_none, say_notes, source_json
from ocattach.cli.terminal import escape
from ocattach.config.variables import working_directory
from ocattach.sessions.index.rows import Total
from ocattach.sessions.messages import total as total_tokens
from ocattach.survey.collect import SessionCollector
from ocattach.survey.everywhere import everywhere
from ocattach.survey.session_list import Request

EXAMPLES = """
ocattach session stats                     show the totals of all sessions
ocattach session stats --since 7d
ocattach session stats --origin staging -o json | jq .total.cost
"""

TITLES = ("Origin", "Model", "Sessions", "Input", "Output", "Reasoning", "Cache read", "Cache write", "Cost")


@click.command(
    cls=Command,
    help="Show tokens and cost by origin and model. Starts no daemon; environments that do not answer "
    "count as last known.",
    examples=EXAMPLES,
)
@origin_option
@click.option(
    "--since",
    metavar="SPAN",
    help="Only sessions updated within this time, such as 7d, with their whole cost.",
)
@click.option(
    "--offline", is_flag=True, help="Use the local index only, without connecting to any environment."
)
@timeout_option(f"Timeout for the environments to answer (default {WALK_SECONDS:g}).")
@output_option
def command(
    origins: tuple[str, ...], *, since: str | None, offline: bool, timeout: float | None, output: str
) -> None:
    """Collect all sessions and print the totals."""
    request = Request(
        origins=origins,
        children=True,
        since=moment(since, "--since"),
        offline=offline,
        activity=False,
        lists=False,
    )
    places = everywhere(cwd=working_directory(), environ=os.environ)
    gathering = SessionCollector(
        places,
        request,
        environ=os.environ,
        timeout=timeout or WALK_SECONDS,
    )
    with Person().asking():
        gathered = gathering.gather()
    totals = gathering.totals()
    if output == "json":
        print_json(
            {
                "stats": [asdict(total) for total in totals],
                "total": asdict(sum_up(totals)),
                "environments": [source_json(source) for source in gathered.sources],
                "notes": gathered.notes,
            }
        )
        return
    if totals:
        rows = [TITLES, *map(cells, totals)]
        rows += [cells(sum_up(totals))] if len(totals) > 1 else []
        click.echo("\n".join(lines(rows)))
    else:
        say_none(request, [spec.name for spec in places.specs if spec.name])
    say_notes(gathered)


def sum_up(totals: Sequence[Total]) -> Total:
    """The sum of several totals."""
    return Total(
        "total",
        "",
        "",
        sum(total.sessions for total in totals),
        sum(total.roots for total in totals),
        round(sum(total.cost for total in totals), 9),
        total_tokens(total.tokens for total in totals),
    )


def cells(total: Total) -> tuple[str, ...]:
    """The cells of a row, with control characters escaped."""
    model = "/".join(filter(None, (total.provider, total.model)))
    tokens = total.tokens
    counts = (tokens.input, tokens.output, tokens.reasoning, tokens.cache_read, tokens.cache_write)
    texts = (total.origin, model, str(total.sessions), *(f"{count:,}" for count in counts), money(total.cost))
    return tuple(escape(text).replace("\n", " ") for text in texts)
