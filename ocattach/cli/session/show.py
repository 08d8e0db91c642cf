"""`ocattach session show`: a session, what it does at this moment, and what is wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

from ocattach.cli.amounts import ago
from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import session_ids
from ocattach.cli.output import print_json
from ocattach.cli.session.describe import describe_message, message_lines, spoken
from ocattach.cli.session.place import client_at, describe, place_of
from ocattach.cli.terminal import escape, say
from ocattach.errors import (
    AuthenticationError,
    NotTrustedError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.link.client.access import NonInteractive
from ocattach.opencode.activity import Activity
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions.diagnosis import clock, times
from ocattach.sessions.examination import Examination, examine
from ocattach.sessions.messages import Message
from ocattach.sessions.record import Session, Tokens
from ocattach.survey.find import FoundSession
from ocattach.transports import open_handler

PROXY_SECONDS = 10.0
LABEL_WIDTH = 11

EXAMPLES = """
ocattach session show ses_0123               where it lives, what it does, what is wrong with it
ocattach session show ses_0123 --messages 5  and the last that was said
ocattach session show ses_0123 -o json | jq -r '.diagnosis[].code'
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A session as far as it is known."""

    place: FoundSession
    examination: Examination | None
    """None where its environment could not be asked."""

    error: OcattachError | None = None
    """Why not; what there is then was known before."""


@click.command(
    cls=Command,
    help="Show a session: what it cost, what it does at this moment, and what is wrong with it.",
    examples=EXAMPLES,
)
@click.argument("session", metavar="ID", shell_complete=session_ids)
@click.option(
    "--messages", type=click.IntRange(min=0), default=0, metavar="N", help="Show the last N messages, too."
)
@output_option
def command(session: str, *, messages: int, output: str) -> None:
    """Find it, ask for all, and print what is known."""
    shown = look(place_of(session))
    if output == "json":
        print_json(describe_shown(shown, messages))
    else:
        print_shown(shown, messages)


def look(place: FoundSession) -> Shown:
    """Ask the environment that has the session; what is remembered of it where that does not answer."""
    try:
        with client_at(place) as client:
            content = SessionClient(client).get(place.session.id)
            session = Session.from_api(content, environment=place.session.environment) or place.session
            examination = examine(client, session)
    except (UnreachableError, TimedOutError, AuthenticationError, NotTrustedError) as error:
        return Shown(place, None, error)
    if any(finding.concerns_connection for finding in examination.findings):
        examination = examination.with_proxies(proxies(place))
    named = replace(session, origin=session.origin or place.session.origin)
    return Shown(replace(place, session=named), examination)


def proxies(place: FoundSession) -> Mapping[str, str]:
    """The proxies of the daemon, where that can be learnt without asking a person."""
    spec = replace(place.spec, workdir=None)
    try:
        with open_handler(spec, ask=NonInteractive(spec), timeout=PROXY_SECONDS) as handler:
            handler.remembers = False
            return handler.daemon_proxies()
    except OcattachError:  # the session is told all the same
        return {}


def print_shown(shown: Shown, messages: int) -> None:
    """Print it for people: what there is, then what is wrong."""
    session, seen = shown.place.session, shown.examination
    click.echo(f"{session.id}  {escape(session.title)}\n")
    for label, value in rows(shown):
        if value:
            click.echo(f"{label:<{LABEL_WIDTH}} {escape(value)}")
    if seen is None:
        say_unasked(shown.error)
        return
    for finding in seen.findings:
        click.echo(f"\n! {escape(finding.message)}")
        if finding.hint:
            click.echo(f"  {escape(finding.hint)}")
    for message in last(seen.messages, messages):
        click.echo("")
        click.echo(spoken("\n".join(message_lines(message))))


def say_unasked(error: OcattachError | None) -> None:
    """Say why no more is known."""
    if error is not None:
        say(f"! Not asked; this is what was known: {error.message}", colour="yellow")
        if error.hint:
            say(f"  {error.hint}")


def rows(shown: Shown) -> Iterable[tuple[str, str]]:
    """What is told of a session, line by line."""
    session, seen = shown.place.session, shown.examination
    yield "Origin", session.origin
    yield "Lives in", shown.place.spec.title()
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
    yield "Tokens", token_words(seen.tokens if seen else session.tokens)
    yield "Cost", f"${seen.cost if seen else session.cost:.4f}"
    yield "Created", ago(session.created / 1000)
    yield "Updated", ago(session.updated / 1000)


def state_words(seen: Examination) -> str:
    """What it does, with what belongs to that."""
    situation = seen.situation
    if situation.activity is Activity.RETRYING and situation.next_try:
        return f"{situation.activity}: attempt {situation.attempt}, again at {clock(situation.next_try)}"
    if situation.activity is Activity.WAITING:
        return f"{situation.activity} for permission"
    return str(situation.activity)


def token_words(tokens: Tokens) -> str:
    """Tokens of each kind that there were."""
    kinds = [(kind.replace("_", " "), count) for kind, count in asdict(tokens).items()]
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds if count) or "none"


def describe_shown(shown: Shown, messages: int) -> dict[str, Any]:
    """The session for scripts; times are in milliseconds since the epoch."""
    seen, error = shown.examination, shown.error
    record = asdict(shown.place.session)
    record.pop("is_native")
    about = {"session": {**record, **describe(shown.place)}, "live": seen is not None}
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
        "permissions": [
            {"id": asked.id, "session": asked.session, "wanted": asked.wanted} for asked in situation.waiting
        ],
        "messages": {"count": len(seen.messages), "complete": seen.is_whole},
        "models": dict(seen.models),
        "tokens": asdict(seen.tokens),
        "cost": seen.cost,
        "diagnosis": [
            {"code": finding.code, "message": finding.message, "hint": finding.hint}
            for finding in seen.findings
        ],
        "last": [describe_message(message) for message in last(seen.messages, messages)],
    }


def last(messages: Sequence[Message], count: int) -> Sequence[Message]:
    """The last of them; none for 0."""
    return messages[-count:] if count else ()
