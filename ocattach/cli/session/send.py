"""`ocattach session send`: send a prompt to a session or to a new one."""

import os
import sys
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import click

from ocattach.backoff import Deadline
from ocattach.cli.approval import require_trust
from ocattach.cli.command import Command, advice, output_option, timeout_option
from ocattach.cli.complete import names_or_ids
from ocattach.cli.person import Person
from ocattach.cli.session.answer_printer import AnswerPrinter, NoticeReporter
from ocattach.cli.session.files import read_attachments, seconds_for
from ocattach.cli.session.place import place_of
from ocattach.cli.target import connect_seconds, connection_argument, named_connection
from ocattach.cli.terminal import say
from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.config.suggestion import did_you_mean
from ocattach.errors import InterruptedByUserError, OcattachError, UsageError, WorkdirNotFoundError
from ocattach.link.client.access import REQUEST_SECONDS, client_at
from ocattach.link.client.foreground import attach
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.attachments import MOST_BYTES, Attachment, check_inputs
from ocattach.opencode.prompts import PromptClient, model_name, new_prompt
from ocattach.opencode.sessions import Content, SessionClient, is_session_id
from ocattach.printable import command_line
from ocattach.sessions.delivery import deliver
from ocattach.sessions.origins import origin_metadata
from ocattach.sessions.record import Session
from ocattach.sessions.run import EventSubscription, RetryingClient, Run, RunObserver
from ocattach.untrusted_json import table

WAIT_SECONDS = 3600.0
"""Default timeout of --wait."""

SUBSCRIBE_SECONDS = 5.0
"""How long the prompt waits for the stream of events. Without that, the answer is printed when it is complete."""

EXAMPLES = """
ocattach session send frontend "Run the tests"          start a session, print its id
ocattach session send frontend "Run the tests" --wait   and print the answer as it arrives
ocattach session send ses_0123 "And the linter"         continue a session
ocattach session send frontend "Why?" --file shot.png   with an image or a text file of this machine
git diff | ocattach session send api - --wait -o json   read the prompt from stdin
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """The arguments and options of the command line."""

    target: str
    text: str
    model: str
    agent: str
    is_waited_for: bool
    timeout: float | None
    trust: bool
    output: str
    quiet: bool
    files: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """The environment and session that a prompt is sent to."""

    spec: ConnectionSpec
    session: str | None
    """None for a new session."""

    origin: str

    person: Person
    timeout: float
    request_seconds: float = REQUEST_SECONDS

    def open(self, left: float = inf) -> tuple[DaemonClient, str | None]:
        """Connect, starting a daemon if none runs. Returns a client, and the connection's directory there.

        `left` are the seconds until the deadline of the whole command.
        """
        timeout = min(self.timeout, left)
        with self.person.waiting("Connecting"):
            found = attach(self.spec, self.person, os.environ, start=True, timeout=timeout)
        return client_at(found, timeout=self.request_seconds), found.workdir

    def check_directory(self, client: DaemonClient, directory: str | None) -> None:
        """Raise WorkdirNotFoundError if the daemon cannot read a directory."""
        if directory is not None and not client.has_directory(directory):
            raise WorkdirNotFoundError(
                f"Directory {directory} does not exist in {self.spec.display()}",
                hint="Create it there, then try again",
            )

    def create(self, client: DaemonClient, directory: str | None, *, title: str = "") -> Content:
        """Create a session in a directory, with its origin."""
        metadata = origin_metadata(self.origin, environment_id(self.spec, os.environ))
        return SessionClient(client).create(directory, metadata=metadata, title=title)

    def read(self, content: Content) -> Session:
        """Return a session as the daemon describes it. Raises OcattachError if it was not created."""
        session = Session.from_api(content, environment=environment_id(self.spec, os.environ))
        if session is None:
            raise OcattachError(f"The daemon in {self.spec.display()} did not create a session")
        return replace(session, origin=self.origin)  # old versions do not store it


@click.command(
    cls=Command,
    help="Send a prompt to a new session of a connection, or to an existing session by its id. "
    "Starts a daemon if none is running.",
    examples=EXAMPLES,
)
@connection_argument("target", "NAME|URI|ID", completer=names_or_ids)
@click.argument("text", metavar="TEXT|-")
@click.option("--model", default="", metavar="PROVIDER/MODEL", help="Model to use.")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help=f"Attach a file of this machine: text in UTF-8, PNG, JPEG, GIF, WebP or PDF; {MOST_BYTES >> 20} MiB together."
    " May be repeated.",
)
@click.option("--agent", default="", metavar="NAME", help="Agent to use, such as build or plan.")
@click.option(
    "--wait",
    "is_waited_for",
    is_flag=True,
    help="Wait for the answer and print it; exit with 1 if the run fails.",
)
@timeout_option(
    f"Timeout for connecting (default 60), or with --wait for the whole run (default {WAIT_SECONDS:.0f})."
)
@click.option("--trust", is_flag=True, help="Approve the project's definition in its current form.")
@output_option
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
def command(**parameters: Any) -> None:
    """Send the prompt; with --wait, print the answer."""
    asked = PromptRequest(**{**parameters, "files": read_attachments(parameters["files"])})
    if asked.text == "-":
        asked = replace(asked, text=sys.stdin.buffer.read().decode(errors="replace"))
    if not asked.text.strip():
        raise UsageError("The prompt is empty", hint="Usage: ocattach session send NAME TEXT")
    if asked.model and not all(asked.model.partition("/")):
        raise UsageError(
            f"{asked.model!r} is not of the form PROVIDER/MODEL", hint="List models: opencode models"
        )
    deadline = Deadline(asked.timeout or WAIT_SECONDS)
    person = Person(quiet=asked.quiet)
    with advice(None if is_session_id(asked.target) else asked.target):
        destination = replace(find_destination(asked, person), request_seconds=seconds_for(asked.files))
        client, workdir = destination.open()
        session = checked_session(destination, client, workdir, asked)
        sent(asked, destination, client, session, deadline)


def find_destination(asked: PromptRequest, person: Person) -> Destination:
    """Resolve the target. Raises SessionNotFoundError, NotTrustedError, and what `resolve` raises."""
    timeout = asked.timeout or connect_seconds()
    if is_session_id(asked.target):
        place = place_of(asked.target)
        require_trust(place.spec, trust=asked.trust, environ=os.environ)
        spec = replace(place.spec, workdir=place.session.directory or None)
        return Destination(spec, place.session.id, place.session.origin, person, timeout)
    return new_destination(asked.target, person, timeout, trust=asked.trust)


def new_destination(target: str, person: Person, timeout: float, *, trust: bool) -> Destination:
    """Resolve a name or URI for a new session. Raises NotTrustedError, and what `resolve` raises."""
    spec = named_connection(target, trust=trust)
    person.heading(f"Connecting to {spec.title()}")
    return Destination(spec, None, origin_name(spec), person, timeout)


def checked_session(
    destination: Destination, client: DaemonClient, workdir: str | None, asked: PromptRequest
) -> Session:
    """The session to send to, created unless an id was given, after directory, model, agent and files were checked.

    OpenCode (1.18.33) accepts a prompt for a directory, model or agent that does not exist and never answers it.
    """
    directory = workdir
    content: Content | None = None
    if destination.session is not None:
        content = SessionClient(client).get(destination.session)
        directory = str(content.get("directory") or "") or None
    destination.check_directory(client, directory)
    check_choice(PromptClient(client), directory, asked, used=model_name(table(content).get("model")))
    return destination.read(content or destination.create(client, directory))


def check_choice(prompts: PromptClient, directory: str | None, asked: PromptRequest, *, used: str) -> None:
    """Raise UsageError for a model or agent that is not there, and for files that the model does not take."""
    models = prompts.models(directory) if asked.model or asked.files else {}
    agents = prompts.agents(directory) if asked.agent else []
    names = [str(agent.get("name")) for agent in agents if not agent.get("hidden")]
    for kind, name, known in (("Model", asked.model, models), ("Agent", asked.agent, names)):
        if name and name not in known:
            raise UsageError(f"{kind} {name} is not available there", hint=did_you_mean(name, known))
    if asked.files:
        model = asked.model or prompts.configured_model(directory, asked.agent, used=used)
        check_inputs(asked.files, model, models)


def sent(
    asked: PromptRequest, destination: Destination, client: DaemonClient, session: Session, deadline: Deadline
) -> None:
    """Send the prompt, and follow the run with --wait. Every outcome names the session."""
    answer = AnswerPrinter(session, destination.spec, output=asked.output, quiet=asked.quiet)
    observer: RunObserver = answer if asked.is_waited_for else NoticeReporter(quiet=asked.quiet)
    if not asked.is_waited_for:
        deadline = Deadline(min(deadline.left, destination.timeout))
    retrying = RetryingClient(client, lambda left: destination.open(left)[0], observer, deadline=deadline)
    moment = retrying.ask(lambda daemon: PromptClient(daemon).next_moment(session.id))
    prompt = new_prompt(asked.text, moment, model=asked.model, agent=asked.agent, files=asked.files)
    try:
        if not asked.is_waited_for:
            deliver(retrying, session.id, prompt)
            answer.print_sent(prompt)
            return
        with EventSubscription(lambda: retrying.client, session.id) as events:
            events.await_connection(SUBSCRIBE_SECONDS)
            deliver(retrying, session.id, prompt)
            answer.begin()
            turn = Run(retrying, session, prompt, answer).follow(events)
    except KeyboardInterrupt:
        hint = f"The run continues there. To abort it: {command_line('ocattach', 'session', 'abort', session.id)}"
        if asked.output != "json":
            say(f"\n{hint}")
        raise InterruptedByUserError("Interrupted", hint=hint) from None
    except OcattachError as error:
        answer.fail(
            error.with_hint(f"Check the session: {command_line('ocattach', 'session', 'show', session.id)}"),
            prompt,
        )
    else:
        answer.end(turn)
