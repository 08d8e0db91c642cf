"""`--status --watch` on a terminal that can only print lines."""

from contextlib import suppress

import click

from ocattach.cli.status.table import ASKING, Row, rows
from ocattach.opencode.pending import PendingRequest
from ocattach.printable import printable
from ocattach.survey.status import Survey

CHANGE_SECONDS = 0.2


def watch_plainly(survey: Survey) -> None:
    """Print each row again when it changes, and each new request with the command that answers it, until Ctrl-C."""
    printed: dict[int, Row] = {}
    shown: dict[int, set[str]] = {}
    survey.ask()
    with suppress(KeyboardInterrupt):
        while True:
            survey.ask_due()
            for number, (row, status) in enumerate(zip(rows(survey), survey.statuses(), strict=True)):
                current = row._replace(known="")  # the age of the result changes all the time
                if row.state != ASKING and printed.get(number) != current:
                    printed[number] = current
                    click.echo("  ".join(filter(None, current[:-1])))
                requests = status.requests if status else ()
                for request in requests:
                    if request.id not in shown.get(number, ()):
                        click.echo(request_line(request))
                shown[number] = {each.id for each in requests}
            survey.await_change(CHANGE_SECONDS)


def request_line(request: PendingRequest) -> str:
    """What a session waits for, and the command that answers it."""
    text = printable(f"{request.kind.capitalize()}: {request.wanted}. To answer: {request.command}")
    return text.replace("\n", " ")
