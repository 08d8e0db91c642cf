"""`ocattach session show ID`: a session, its current state, and a diagnosis of problems."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

from ocattach.cli.amounts import ago
from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.output import print_json
from ocattach.cli.session.place import client_at, place_json, place_of
from ocattach.cli.terminal import escape, say_error, spoken
from ocattach.errors import (
    AuthenticationError,
    NotTrustedError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.link.client.access import no_person
from ocattach.opencode.activity import Activity
from ocattach.opencode.pending import by_kind
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions.diagnosis import clock, times
from ocattach.sessions.examination import Examination, examine
from ocattach.sessions.messages import Message
from ocattach.sessions.record import Session
from ocattach.survey.find import FoundSession
from ocattach.transports import open_handler

PROXY_SECONDS = 10.0
LABEL_WIDTH = 11
UNASKED = "! The environment could not be queried; shown is what was last known: "

EXAMPLES = """
ocattach session show ses_0123               show environment, state, cost and problems
ocattach session show ses_0123 --messages 5  and the last 5 messages
ocattach session show ses_0123 -o json | jq -r '.diagnosis[].code'
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of a session."""

    place: FoundSession
    examination: Examination | None
    """None if its environment could not be queried."""

    error: OcattachError | None = None
    """Why it could not be queried; `place` is then from the index."""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@click.option(
    "--messages", type=click.IntRange(min=0), default=0, metavar="N", help="Also show the last N messages."
)
@output_option
def command(session: str, *, messages: int, output: str) -> None:
    """Show a session: its environment, state, models, tokens and cost, and a diagnosis of problems."""
    shown = query_session(place_of(session))
    if output == "json":
        print_json(shown_json(shown, messages))
    else:
        print_shown(shown, messages)


def query_session(place: FoundSession) -> Shown:
    """Query the environment of a session; if it does not answer, return what the index has."""
    try:
        with client_at(place) as client:
            content = SessionClient(client).get(place.session.id)
            session = Session.from_api(content, environment=place.session.environment) or place.session
            examination = examine(client, session)
    except (UnreachableError, TimedOutError, AuthenticationError, NotTrustedError) as error:
        return Shown(place, None, error)
    if any(finding.concerns_connection for finding in examination.findings):
        examination = examination.with_proxies(proxies(place))
    named = replace(session, origin=place.session.origin)
    return Shown(replace(place, session=named), examination)


def proxies(place: FoundSession) -> Mapping[str, str]:
    """The proxy variables of the daemon; empty if they cannot be read without asking the user."""
    spec = replace(place.spec, workdir=None)
    try:
        with open_handler(spec, ask=no_person(spec), timeout=PROXY_SECONDS) as handler:
            handler.remembers = False
            return handler.daemon_proxies()
    except OcattachError:  # proxies only improve the diagnosis
        return {}


def print_shown(shown: Shown, messages: int) -> None:
    """Print the session as text: its properties, then problems, then messages."""
    session, seen = shown.place.session, shown.examination
    click.echo(f"{session.id}  {escape(session.title)}\n")
    for label, value in rows(shown):
        if value:
            click.echo(f"{label:<{LABEL_WIDTH}} {escape(value)}")
    if seen is None:
        if shown.error is not None:
            say_error(shown.error, before=UNASKED, colour="yellow")
        return
    for finding in seen.findings:
        click.echo(f"\n! {escape(finding.message)}")
        if finding.hint:
            click.echo(f"  {escape(finding.hint)}")
    for message in last(seen.messages, messages):
        click.echo("")
        click.echo(spoken("\n".join(message_lines(message))))


def rows(shown: Shown) -> Iterable[tuple[str, str]]:
    """The properties of a session with their labels."""
    session, seen = shown.place.session, shown.examination
    yield "Origin", session.origin
    yield "Environment", shown.place.spec.title()
    yield "Directory", session.directory
    yield "Parent", session.parent or ""
    if seen is not None:
        yield "State", state_words(seen)
        prompts = sum(not message.is_answer for message in seen.messages)
        least = "" if seen.is_whole else "the last "
        yield "Messages", f"{least}{len(seen.messages)}, {prompts} of them prompts"
        yield "Models", ", ".join(f"{model} ({times(count)})" for model, count in seen.models.items())
    else:
        yield "Model", f"{session.provider}/{session.model}" if session.model else ""
    yield "Agent", session.agent
    tokens = asdict(seen.tokens if seen else session.tokens)
    words = [f"{count:,} {kind.replace('_', ' ')}" for kind, count in tokens.items() if count]
    yield "Tokens", ", ".join(words) or "none"
    yield "Cost", f"${seen.cost if seen else session.cost:.4f}"
    yield "Created", ago(session.created / 1000)
    yield "Updated", ago(session.updated / 1000)


def state_words(seen: Examination) -> str:
    """The state with its details."""
    situation = seen.situation
    if situation.activity is Activity.RETRYING and situation.next_try:
        return f"{situation.activity}: attempt {situation.attempt}, next try at {clock(situation.next_try)}"
    if situation.activity is Activity.WAITING:
        kinds = sorted({asked.kind for asked in situation.waiting})
        return f"{situation.activity} for {' and '.join(f'a {kind}' for kind in kinds)}"
    return str(situation.activity)


def shown_json(shown: Shown, messages: int) -> dict[str, Any]:
    """The session as JSON; times are in milliseconds since the epoch."""
    seen, error = shown.examination, shown.error
    record = asdict(shown.place.session)
    record.pop("is_native")
    about = {"session": {**record, **place_json(shown.place)}, "live": seen is not None}
    if seen is None:
        return {**about, "reason": error and error.to_json()}
    situation = seen.situation
    return {
        **about,
        "state": situation.activity,
        "retry": {
            "attempt": situation.attempt,
            "next": situation.next_try or None,
            "message": situation.reason,
        }
        if situation.activity is Activity.RETRYING
        else None,
        **by_kind(
            (asked, {"id": asked.id, "session": asked.session, "wanted": asked.wanted})
            for asked in situation.waiting
        ),
        "messages": {"count": len(seen.messages), "complete": seen.is_whole},
        "models": dict(seen.models),
        "tokens": asdict(seen.tokens),
        "cost": seen.cost,
        "diagnosis": [
            {"code": finding.code, "message": finding.message, "hint": finding.hint}
            for finding in seen.findings
        ],
        "last": [message_json(message) for message in last(seen.messages, messages)],
    }


def last(messages: Sequence[Message], count: int) -> Sequence[Message]:
    """The last `count` messages; none for 0."""
    return messages[-count:] if count else ()


def message_json(message: Message) -> dict[str, Any]:
    """A message as JSON; times are in milliseconds since the epoch."""
    failure = message.failure
    return {
        "id": message.id,
        "role": "assistant" if message.is_answer else "user",
        "created": message.created,
        "completed": message.completed or None,
        "model": message.full_model,
        "agent": message.agent,
        "finish": message.finish,
        "tokens": asdict(message.tokens),
        "cost": message.cost,
        "tools": list(message.tools),
        "text": message.text,
        "error": failure and {"name": failure.name, "message": failure.message, "status": failure.status},
    }


def message_lines(message: Message) -> Iterator[str]:
    """A message as lines of text."""
    who = message.full_model if message.is_answer else "You"
    yield f"{who}, {ago(message.created / 1000)}:"
    for line in message.text.splitlines():
        yield f"  {line}"
    if message.tools:
        yield f"  ({', '.join(message.tools)})"
    if message.failure:
        yield f"  failed: {message.failure}"
