"""Reads all that a daemon reports about one session."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ocattach.opencode.activity import Activity, lineage
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import milliseconds
from ocattach.opencode.pending import read_request
from ocattach.opencode.prompts import PromptClient
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions.diagnosis import Finding, Surroundings, diagnose, without_user
from ocattach.sessions.messages import Message, Turn, read_messages, total, turns
from ocattach.sessions.record import Session, Tokens
from ocattach.sessions.situation import Situation

PAGE = 50
MOST_PAGES = 40
MOST_TEXT = 64 * 1024 * 1024
"""How many pages of messages, and characters of their texts, are read at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A session with its messages and the diagnosis."""

    session: Session
    messages: tuple[Message, ...]
    """Oldest first."""

    is_whole: bool
    """Whether these are all messages."""

    situation: Situation
    surroundings: Surroundings

    @property
    def turns(self) -> list[Turn]:
        """The prompts, each with its answers."""
        return turns(self.messages)

    @property
    def models(self) -> Mapping[str, int]:
        """The number of answers of each model."""
        return Counter(message.full_model for message in self.messages if message.is_answer)

    @property
    def tokens(self) -> Tokens:
        """The tokens used. Sessions of old versions do not say: then the sum of the messages."""
        return self.session.tokens if self.session.tokens.total else total([m.tokens for m in self.messages])

    @property
    def cost(self) -> float:
        """In US dollars, determined as `tokens` is."""
        return self.session.cost or sum(message.cost for message in self.messages)

    @property
    def findings(self) -> list[Finding]:
        """The problems of the session."""
        last = self.turns[-1] if self.turns else None
        return diagnose(self.session, last, self.situation, self.surroundings)

    def with_proxies(self, proxies: Mapping[str, str]) -> "Examination":
        """Return a copy with the proxy variables of the daemon, without credentials."""
        shown = {name: without_user(value) for name, value in proxies.items()}
        return replace(self, surroundings=replace(self.surroundings, proxies=shown))


def examine(client: DaemonClient, session: Session) -> Examination:
    """Examine a session. Raises SessionNotFoundError, and the errors of requests."""
    sessions, prompts = SessionClient(client), PromptClient(client)
    directory = session.directory or None
    situation = examine_situation(client, session.id, directory)
    messages, is_whole = read_all(sessions, session.id)
    last = next(iter(turns(messages)[-1:]), None)
    surroundings = Surroundings()
    if last is not None and not last.is_over and situation.activity is Activity.IDLE:
        situation = examine_situation(client, session.id, directory)  # it may have begun meanwhile
        surroundings = explain_silence(client, prompts, directory)
    elif last is not None and last.last is not None:
        surroundings = Surroundings(configured_model=prompts.configured_model(directory, last.last.agent))
    return Examination(
        session=session,
        messages=tuple(messages),
        is_whole=is_whole,
        situation=situation,
        surroundings=surroundings,
    )


def examine_situation(client: DaemonClient, session: str, directory: str | None) -> Situation:
    """Return what a session is doing. Pending requests of its subagents count as its own."""
    sessions = SessionClient(client)
    status = sessions.statuses(directory).get(session)
    waiting = [
        asked
        for content in (sessions.pending(directory) if status else ())
        if (asked := read_request(content, directory or "")) and session in lineage(sessions, asked.session)
    ]
    return Situation.from_api(status, waiting)


def explain_silence(client: DaemonClient, prompts: PromptClient, directory: str | None) -> Surroundings:
    """Return what may explain that a prompt is not processed."""
    if directory is not None and not client.has_directory(directory):
        return Surroundings(has_directory=False)
    now = milliseconds(client.health().date)
    return Surroundings(
        has_directory=True, models=frozenset(prompts.models(directory)), now=int(now) if now else 0
    )


def read_all(sessions: SessionClient, session: str) -> tuple[list[Message], bool]:
    """Return the messages of a session, oldest first, and whether these are all."""
    messages: list[Message] = []
    size = 0
    for number, page in enumerate(sessions.message_pages(session, limit=PAGE)):
        if number == MOST_PAGES or size >= MOST_TEXT:
            return messages, False
        read = read_messages(page)
        messages[:0] = read
        size += sum(len(text.words) for message in read for text in message.texts)
    return messages, True
