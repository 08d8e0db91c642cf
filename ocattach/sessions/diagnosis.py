"""What a session is doing, and what is wrong with it: rules that look at its last prompt and what came of it.

The rules are those by which people who watch models read a session: no words without a reason, tokens that were never
counted, a model that nobody asked for. Each was seen on sessions of 1.18.33 that were made to be so.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ocattach.opencode.activity import Activity
from ocattach.sessions.messages import CALLS, CUT_OFF, Failure, Message, Turn
from ocattach.sessions.record import Session
from ocattach.sessions.situation import Situation

WAY_ERRORS = {403, 407, 502, 503, 504}
"""What proxies and gateways answer in a model server's place."""


SETTLE_MILLISECONDS = 15_000
"""How long a prompt may lie there before anybody works on it: a second as a rule, several on a machine at its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the environment besides the session; None and empty: not known."""

    configured_model: str = ""
    """PROVIDER/MODEL that the daemon's configuration has for the session's agent."""

    models: frozenset[str] | None = None
    """Every PROVIDER/MODEL that the daemon has."""

    has_directory: bool | None = None
    now: int = 0
    """By the daemon's clock, in milliseconds since the epoch."""

    proxies: Mapping[str, str] = field(default_factory=dict)
    """The proxy variables of the daemon, as `without_user` leaves them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or that somebody has to do."""

    code: str
    """Stable, for scripts."""

    message: str
    hint: str = ""
    concerns_way: bool = False
    """Whether what lies between the daemon and the model server may be the reason."""


Rule = Callable[["Case"], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that the rules look at."""

    session: Session
    turn: Turn | None
    """The last prompt and what came of it."""

    situation: Situation
    surroundings: Surroundings

    @property
    def answer(self) -> Message | None:
        """The last answer that is complete."""
        answers = self.turn.answers if self.turn else ()
        return next((answer for answer in reversed(answers) if answer.completed or answer.failure), None)


def diagnose(
    session: Session, turn: Turn | None, situation: Situation, surroundings: Surroundings
) -> list[Finding]:
    """What is wrong with a session, what explains most first; nothing where all is well."""
    case = Case(session=session, turn=turn, situation=situation, surroundings=surroundings)
    return [finding for rule in RULES for finding in rule(case)]


def waiting(case: Case) -> Iterator[Finding]:
    """It goes on when somebody allows it."""
    for asked in case.situation.waiting:
        yield Finding(
            "waiting-for-permission",
            f"It waits to be allowed: {asked.wanted}",
            f"ocattach session reply {asked.id} once",
        )


def retrying(case: Case) -> Iterator[Finding]:
    """The provider failed, and is asked again."""
    situation = case.situation
    if situation.activity is Activity.RETRYING:
        again = f", and again at {clock(situation.next_try)}" if situation.next_try else ""
        yield Finding(
            "retrying",
            f"The model server was asked {times(situation.attempt)} and failed: "
            f"{situation.reason or 'no reason given'}{again}",
            by_way(case) or f"To stop it: ocattach session abort {case.session.id}",
            concerns_way=True,
        )


def failed(case: Case) -> Iterator[Finding]:
    """The provider, or OpenCode, said why."""
    failure = case.turn.failure if case.turn else None
    if failure is None:
        return
    if failure.is_abort:
        yield Finding(
            "aborted", "It was broken off", f"To go on: ocattach session send {case.session.id} TEXT"
        )
        return
    concerns_way = failure.status in WAY_ERRORS or not failure.status
    yield Finding(
        "provider-error",
        f"The provider failed: {failure}",
        (by_way(case) if concerns_way else "") or error_hint(failure),
        concerns_way=concerns_way,
    )


def unanswered(case: Case) -> Iterator[Finding]:
    """No answer comes, and nobody works on it: OpenCode then says nothing, anywhere."""
    turn, around = case.turn, case.surroundings
    if turn is None or turn.is_over or case.situation.activity is not Activity.IDLE:
        return
    asked, directory = turn.prompt.full_model, case.session.directory
    if around.has_directory is False:
        yield silence(
            f"its directory does not exist there: {directory}", "Create it there, and send it again"
        )
    elif turn.last is not None:
        yield Finding(
            "interrupted",
            "The answer ends in the middle, and this daemon does not work on it: "
            "the one that did has ended, or is another",
            f"To go on: ocattach session send {case.session.id} TEXT",
        )
    elif around.models is not None and asked and asked not in around.models:
        yield silence(f"there is no model {asked} there", "See what there is: opencode models")
    elif around.now > turn.prompt.created + SETTLE_MILLISECONDS:
        yield silence("nobody works on it", f"Send it again: ocattach session send {case.session.id} TEXT")


def silence(reason: str, hint: str) -> Finding:
    """The finding for a prompt of which nothing came."""
    return Finding("unanswered", f"The prompt was never answered: {reason}", hint)


def speechless(case: Case) -> Iterator[Finding]:
    """An answer without a word, and what its tokens tell about the reason. At most one of these is true."""
    answer, turn = case.answer, case.turn
    if answer is None or turn is None or answer.failure or answer.text.strip() or answer.finish == CALLS:
        return
    tokens = answer.tokens
    if tokens.total == 0:
        yield Finding(
            "never-arrived",
            "The request never reached the model server: not one token was counted",
            by_way(case) or model_server_hint(case),
            concerns_way=True,
        )
    elif tokens.reasoning and (answer.finish == CUT_OFF or tokens.reasoning > tokens.output):
        yield Finding(
            "only-reasoning",
            f"Reasoning took the whole budget: {tokens.reasoning} tokens of it, {tokens.output} of answer",
            "Raise the model's limit of output, choose less effort, or ask for less at once",
        )
    elif turn.tools:
        yield Finding(
            "only-tools",
            f"It stopped without a word: there are only calls of tools ({counted(turn.tools)})",
            f"To ask what came of it: ocattach session send {case.session.id} TEXT",
        )
    else:
        yield Finding(
            "no-output",
            "The model could not be reached, or said nothing: there is no output, and no text",
            by_way(case) or model_server_hint(case),
            concerns_way=True,
        )


def cut_off(case: Case) -> Iterator[Finding]:
    """An answer that has words, and not all of them."""
    answer = case.answer
    if answer is not None and answer.finish == CUT_OFF and answer.text.strip():
        yield Finding(
            "cut-off",
            f"The answer ends where the model's limit of output is: {answer.tokens.output} tokens",
            f"To have the rest: ocattach session send {case.session.id} TEXT",
        )


def wrong_model(case: Case) -> Iterator[Finding]:
    """Another model answered than the one that was asked, or than the configured one."""
    answer = case.turn.last if case.turn else None
    if answer is None or case.turn is None or not answer.full_model:
        return
    asked, configured = case.turn.prompt.full_model, case.surroundings.configured_model
    if asked and asked != answer.full_model:
        what = f"asked for was {asked}"
    elif configured and configured != answer.full_model:
        what = f"configured there is {configured}"
    else:
        return
    yield Finding(
        "wrong-model",
        f"{answer.full_model} answered; {what}",
        f"ocattach session send {case.session.id} TEXT --model {shlex.quote(configured or asked)}",
    )


RULES: tuple[Rule, ...] = (waiting, retrying, failed, unanswered, speechless, cut_off, wrong_model)


def by_way(case: Case) -> str:
    """What to do about the proxies of a daemon; empty where none is known."""
    proxies = case.surroundings.proxies
    if not proxies:
        return ""
    told = ", ".join(f"{name}={value}" for name, value in proxies.items())
    return f"The daemon has a proxy: {told}. Name the model server in NO_PROXY there, or the variable in unset_env"


def model_server_hint(case: Case) -> str:
    """What to look at where no proxy is known."""
    model = case.answer.full_model if case.answer else ""
    provider = model.partition("/")[0]
    return f"See whether the base URL of provider {provider} can be reached from there" if provider else ""


def error_hint(failure: Failure) -> str:
    """What to do about an error of the provider's own."""
    if failure.status in {401, 403}:
        return "See the provider's credentials in the environment: opencode auth list"
    return ""


USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?(?:.*@)?([^/?#]*).*$", re.DOTALL)


def without_user(proxy: str) -> str:
    """Scheme, host and port of a proxy; who uses it, and with which password, is nobody's business here."""
    found = USER.match(proxy)
    return f"{found[1] or ''}{found[2]}" if found else ""


def clock(milliseconds: int) -> str:
    """A time of day here, with the date when it is of another day."""
    when = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    today = datetime.now().astimezone().date()
    return f"{when:%H:%M:%S}" if when.date() == today else f"{when:%Y-%m-%d %H:%M:%S}"


def times(count: int) -> str:
    """So many times, in words."""
    return "once" if count == 1 else f"{count} times"


def counted(names: Sequence[str]) -> str:
    """Names, and how often each is there where that is more than once."""
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
