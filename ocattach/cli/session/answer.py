"""`ocattach session answer QUESTION LABEL…`: answer a question of an agent, or reject it."""

import os

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.output import report
from ocattach.cli.person import Person
from ocattach.config.variables import working_directory
from ocattach.errors import UsageError
from ocattach.link.client.direct import asker
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import Question, answer
from ocattach.opencode.sessions import QUESTION_ID
from ocattach.sessions.answers import chosen
from ocattach.survey.everywhere import everywhere
from ocattach.survey.pending import HINT, respond

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

    def send(client: DaemonClient, request: Question) -> tuple[Question, list[list[str]] | None]:
        answers = None if reject else chosen(request, labels)
        answer(client, request, answers)
        return request, answers

    entries = everywhere(cwd=working_directory(), environ=os.environ).entries
    person = Person()
    with person.asking():
        request, answers = respond(question, Question, entries, send, ask=asker(person), environ=os.environ)
    words = "; ".join(", ".join(each) for each in answers) if answers is not None else ""
    text = f"Answered {words}, for {request.session}" if words else f"Rejected, for {request.session}"
    report(text, {"question": request.id, "session": request.session, "answers": answers}, output=output)
