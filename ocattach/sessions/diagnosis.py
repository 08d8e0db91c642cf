"""Diagnoses a session by rules about its last prompt and the answer.

Each rule was tested with a session of 1.18.33: an answer without text, tokens that were not counted, another model than
the requested one.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ocattach.opencode.activity import Activity
from ocattach.printable import command_line
from ocattach.sessions.messages import ABORTED, CALLS, CUT_OFF, Message, Turn
from ocattach.sessions.record import Session
from ocattach.sessions.situation import Situation

GATEWAY_ERRORS = {403, 407, 502, 503, 504}
"""Status codes of proxies and gateways in front of a model server."""


SETTLE_MILLISECONDS = 15_000
"""How long a prompt may wait before a session works on it: usually a second, several on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the environment besides the session. None and empty mean unknown."""

    configured_model: str = ""
    """The configured PROVIDER/MODEL of the session's agent."""

    models: frozenset[str] | None = None
    """The models of the daemon, as PROVIDER/MODEL."""

    has_directory: bool | None = None
    now: int = 0
    """By the daemon's clock, in milliseconds since the epoch."""

    proxies: Mapping[str, str] = field(default_factory=dict)
    """The proxy variables of the daemon, without credentials (`without_user`)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, or something a person must do."""

    code: str
    """A stable identifier, for scripts."""

    message: str
    hint: str = ""
    concerns_connection: bool = False
    """Whether the connection from the daemon to the model server may be the cause."""


Rule = Callable[["Case"], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The input of the rules."""

    session: Session
    turn: Turn | None
    """The last prompt and its answers."""

    situation: Situation
    surroundings: Surroundings

    @property
    def answer(self) -> Message | None:
        """The last complete answer."""
        answers = self.turn.answers if self.turn else ()
        return next((answer for answer in reversed(answers) if answer.completed or answer.failure), None)

    def send_command(self, *options: str) -> str:
        """Return the command that sends another prompt to the session."""
        return command_line("ocattach", "session", "send", self.session.id, "TEXT", *options)


def diagnose(
    session: Session, turn: Turn | None, situation: Situation, surroundings: Surroundings
) -> list[Finding]:
    """Return the problems of a session, the most likely cause first."""
    case = Case(session=session, turn=turn, situation=situation, surroundings=surroundings)
    return [finding for rule in RULES for finding in rule(case)]


def waiting(case: Case) -> Iterator[Finding]:
    """The session waits for a person."""
    for asked in case.situation.waiting:
        if asked.kind == "permission":
            message = f"The session waits for a permission: {asked.wanted}"
            yield Finding("waiting-for-permission", message, asked.command)
        else:
            message = f"The session waits for the answer to a question: {asked.wanted}"
            yield Finding("waiting-for-question", message, asked.command)


def retrying(case: Case) -> Iterator[Finding]:
    """The request to the model failed and will be repeated."""
    situation = case.situation
    if situation.activity is Activity.RETRYING:
        again = f"; next try at {clock(situation.next_try)}" if situation.next_try else ""
        yield Finding(
            "retrying",
            f"The request to the model server failed {times(situation.attempt)}: "
            f"{situation.reason or 'no reason given'}{again}",
            proxy_hint(case)
            or f"To stop it: {command_line('ocattach', 'session', 'abort', case.session.id)}",
            concerns_connection=True,
        )


def failed(case: Case) -> Iterator[Finding]:
    """The provider or OpenCode reported an error."""
    failure = case.turn.failure if case.turn else None
    if failure is None:
        return
    if failure.name == ABORTED:
        yield Finding("aborted", "The run was aborted", f"To continue: {case.send_command()}")
        return
    concerns_connection = failure.status in GATEWAY_ERRORS or not failure.status
    is_refused = failure.status in {401, 403}
    hint = "Check the provider's credentials in the environment: opencode auth list" if is_refused else ""
    yield Finding(
        "provider-error",
        f"The provider returned an error: {failure}",
        (proxy_hint(case) if concerns_connection else "") or hint,
        concerns_connection=concerns_connection,
    )


def unanswered(case: Case) -> Iterator[Finding]:
    """There is no complete answer, and the session is idle. OpenCode reports no reason."""
    turn, around = case.turn, case.surroundings
    if turn is None or turn.is_over or case.situation.activity is not Activity.IDLE:
        return
    asked, directory = turn.prompt.full_model, case.session.directory
    if around.has_directory is False:
        yield silence(
            f"the directory {directory} does not exist there", "Create it there, and send the prompt again"
        )
    elif turn.last is not None:
        yield Finding(
            "interrupted",
            "The answer is incomplete, and this daemon does not continue it: "
            "another daemon began it, or it began before a restart",
            f"To continue: {case.send_command()}",
        )
    elif around.models is not None and asked and asked not in around.models:
        yield silence(f"the model {asked} does not exist there", "List the models there: opencode models")
    elif around.now > turn.prompt.created + SETTLE_MILLISECONDS:
        yield silence("the daemon does not process it", f"Send it again: {case.send_command()}")


def silence(reason: str, hint: str) -> Finding:
    """Return the finding for a prompt without an answer."""
    return Finding("unanswered", f"The prompt was not answered: {reason}", hint)


def speechless(case: Case) -> Iterator[Finding]:
    """An answer without text: the tokens show the reason. Returns at most one finding."""
    answer, turn = case.answer, case.turn
    if answer is None or turn is None or answer.failure or answer.text.strip() or answer.finish == CALLS:
        return
    tokens = answer.tokens
    if tokens.total == 0:
        yield Finding(
            "never-arrived",
            "The request did not reach the model server: no tokens were counted",
            proxy_hint(case) or model_server_hint(case),
            concerns_connection=True,
        )
    elif tokens.reasoning and (answer.finish == CUT_OFF or tokens.reasoning > tokens.output):
        yield Finding(
            "only-reasoning",
            f"Reasoning used the whole budget: {tokens.reasoning} tokens for reasoning, {tokens.output} for the answer",
            "Raise the output limit of the model, reduce the reasoning effort, or ask for less",
        )
    elif turn.tools:
        yield Finding(
            "only-tools",
            f"The answer has no text, only tool calls ({counted(turn.tools)})",
            f"To ask for the result: {case.send_command()}",
        )
    else:
        yield Finding(
            "no-output",
            "The model could not be reached, or returned nothing: there is no output and no text",
            proxy_hint(case) or model_server_hint(case),
            concerns_connection=True,
        )


def cut_off(case: Case) -> Iterator[Finding]:
    """An answer that is incomplete."""
    answer = case.answer
    if answer is not None and answer.finish == CUT_OFF and answer.text.strip():
        yield Finding(
            "cut-off",
            f"The answer was cut off at the output limit of the model: {answer.tokens.output} tokens",
            f"To get the rest: {case.send_command()}",
        )


def wrong_model(case: Case) -> Iterator[Finding]:
    """Another model answered than the requested or configured one."""
    answer = case.turn.last if case.turn else None
    if answer is None or case.turn is None or not answer.full_model:
        return
    asked, configured = case.turn.prompt.full_model, case.surroundings.configured_model
    if asked and asked != answer.full_model:
        what = f"{asked} was requested"
    elif configured and configured != answer.full_model:
        what = f"{configured} is configured there"
    else:
        return
    yield Finding(
        "wrong-model",
        f"{answer.full_model} answered; {what}",
        case.send_command("--model", configured or asked),
    )


RULES: tuple[Rule, ...] = (waiting, retrying, failed, unanswered, speechless, cut_off, wrong_model)


def proxy_hint(case: Case) -> str:
    """Return what to do about the proxies of the daemon; empty if none is known."""
    proxies = case.surroundings.proxies
    if not proxies:
        return ""
    shown = ", ".join(f"{name}={value}" for name, value in proxies.items())
    return f"The daemon uses a proxy: {shown}. Add the model server to NO_PROXY there, or the variable to unset_env"


def model_server_hint(case: Case) -> str:
    """Return what to check if no proxy is known."""
    model = case.answer.full_model if case.answer else ""
    provider = model.partition("/")[0]
    return f"Check that the base URL of provider {provider} can be reached from there" if provider else ""


USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?(?:.*@)?([^/?#]*).*$", re.DOTALL)


def without_user(proxy: str) -> str:
    """Return scheme, host and port of a proxy, without credentials."""
    found = USER.match(proxy)
    return f"{found[1] or ''}{found[2]}" if found else ""


def clock(milliseconds: int) -> str:
    """Format a local time, with the date if it is not today."""
    when = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    today = datetime.now().astimezone().date()
    return f"{when:%H:%M:%S}" if when.date() == today else f"{when:%Y-%m-%d %H:%M:%S}"


def times(count: int) -> str:
    """Format a number of times."""
    return "once" if count == 1 else f"{count} times"


def counted(names: Sequence[str]) -> str:
    """List names, each with its number if it is repeated."""
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
