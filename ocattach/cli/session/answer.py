"""`ocattach session answer QUESTION LABEL…`: answer a question of an agent, or reject it."""

import os
from collections.abc import Sequence

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.output import report
from ocattach.cli.person import Person
from ocattach.cli.session.pending import HINT, find_request
from ocattach.cli.session.place import FIND_SECONDS
from ocattach.errors import UsageError
from ocattach.link.client.access import open_client
from ocattach.link.client.direct import asker
from ocattach.opencode.pending import Part, Question, answer
from ocattach.opencode.sessions import QUESTION_ID
from ocattach.printable import command_line

EXAMPLES = """
ocattach session waiting                      list pending requests with their choices
ocattach session answer que_0123 yes          choose one of them
ocattach session answer que_0123 red S,L      two questions at once; several choices for the second
ocattach session answer que_0123 --reject     let the agent go on without an answer
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("question", metavar="QUESTION")
@click.argument("labels", nargs=-1, metavar="[LABEL]...")
@click.option("--reject", is_flag=True, help="Refuse to answer.")
@output_option
def command(question: str, labels: tuple[str, ...], *, reject: bool, output: str) -> None:
    """Answer a question of an agent, in any environment. Starts no daemon.

    One LABEL for each question of the request, in their order. Where an answer may be any text, LABEL may be one.
    """
    if not QUESTION_ID.fullmatch(question):
        raise UsageError(f"{question!r} is not the id of a question (que_…)", hint=HINT)
    if reject and labels:
        raise UsageError("--reject takes no LABEL")
    request, spec = find_request(question, Question)
    answers = None if reject else chosen(request, labels)
    with open_client(spec, environ=os.environ, ask=asker(Person()), timeout=FIND_SECONDS) as client:
        answer(client, request, answers)
    words = "; ".join(", ".join(each) for each in answers) if answers is not None else ""
    text = f"Answered {words}, for {request.session}" if words else f"Rejected, for {request.session}"
    report(text, {"question": question, "session": request.session, "answers": answers}, output=output)


def chosen(request: Question, labels: Sequence[str]) -> list[list[str]]:
    """Return the answers to each question of a request. Raises UsageError that shows the choices."""
    parts = request.parts
    if len(parts) == 1 and parts[0].is_multiple and len(labels) > 1:
        return [[choice(request, parts[0], label) for label in labels]]
    if len(labels) != len(parts):
        raise UsageError(
            f"{request.id} has {len(parts)} question{'s' if len(parts) > 1 else ''}, {len(labels)} answered: "
            f"{request.wanted}",
            hint=f"For example: {request.command}",
        )
    return [answers_to(request, part, label) for part, label in zip(parts, labels, strict=True)]


def answers_to(request: Question, part: Part, label: str) -> list[str]:
    """Return the choices that a LABEL names: one, or several separated by commas if the question allows it."""
    if not part.is_multiple or label in part.labels:
        return [choice(request, part, label)]
    return [choice(request, part, each.strip()) for each in label.split(",")]


def choice(request: Question, part: Part, label: str) -> str:
    """Return the label of a choice, in upper or lower case, or any text where the question allows it."""
    found = [each for each in part.labels if each.casefold() == label.casefold()]
    if label in part.labels or (not found and part.is_open and label.strip()):
        return label
    if found:
        return found[0]
    reject = command_line("ocattach", "session", "answer", request.id, "--reject")
    raise UsageError(
        f"{label!r} is not a choice of {part.text!r}: {', '.join(part.labels)}",
        hint=f"To refuse to answer: {reject}",
    )
