"""One prompt from its sending to the end of its answer, over a way that may be lost in between."""

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ocattach.errors import (
    ConnectionLostError,
    OcattachError,
    RunFailedError,
    TimedOutError,
    UnreachableError,
)
from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import CONNECTED, SILENCE_SECONDS, Event, read_events
from ocattach.opencode.permissions import Waiting
from ocattach.opencode.prompts import Prompt, PromptClient
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions.examination import Examination, examine, examine_situation
from ocattach.sessions.messages import Failure, Message, Turn, read_messages, turn_of, turns
from ocattach.sessions.record import Session, table
from ocattach.sessions.situation import Situation
from ocattach.sessions.transcript import Transcript

T = TypeVar("T")

WORDS = ("message.updated", "message.part.updated", "message.part.delta")
"""Events that tell what the model says."""

CHANGES = ("session.status", "session.idle", "permission.asked", "permission.updated", "permission.replied")
"""Events after which it is worth to look how the session stands."""

ERROR = "session.error"

LOOK_SECONDS = 5.0
"""How often that is looked at in any case."""

AGAIN_SECONDS = 1.0
"""The pause before a lost daemon is tried again; the local port of a link waits by itself."""

SETTLE_SECONDS, STOPPED_SECONDS = 20.0, 5.0
"""How long nobody may work on a prompt before it is taken for lost; and on an answer that has begun."""

PAGE = 60
"""Messages that are read at once."""

LOST = (ConnectionLostError, TimedOutError, UnreachableError)


class RunObserver(Protocol):
    """Who is told what happens meanwhile."""

    def said(self, text: str) -> None:
        """The model says more."""

    def waits(self, asked: Waiting) -> None:
        """It goes on when somebody allows this; told once."""

    def retries(self, situation: Situation) -> None:
        """Its provider has failed, and is asked again; told once for each time."""

    def lost(self, reason: str) -> None:
        """The daemon cannot be reached; told once, until it can."""

    def found(self) -> None:
        """It can again."""


class RetryingClient:
    """Requests to a daemon that may be lost, and is found again by the same way in."""

    def __init__(
        self, client: DaemonClient, again: Callable[[], DaemonClient], teller: RunObserver, *, deadline: float
    ) -> None:
        """`again` gives requests to it anew; what it raises but for a way that is lost ends the asking."""
        self.client = client
        self.deadline = deadline
        self._again = again
        self._teller = teller
        self._is_lost = False

    def ask(self, question: Callable[[DaemonClient], T]) -> T:
        """The daemon's answer to what can be asked any number of times, whatever happens on the way.

        Raises TimedOutError at the deadline, and every other error at once.
        """
        while True:
            try:
                if self._is_lost:
                    self.client = self._again()
                answer = question(self.client)
            except LOST as error:
                self._lose(error)
            else:
                if self._is_lost:
                    self._is_lost = False
                    self._teller.found()
                return answer

    def _lose(self, error: OcattachError) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._teller.lost(error.message)
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimedOutError(f"The daemon could not be reached in time: {error.message}") from error
        time.sleep(min(AGAIN_SECONDS, left))


def deliver(way: RetryingClient, session: str, prompt: Prompt) -> None:
    """Hand over a prompt once: where nobody knows whether it has arrived it is looked for before it is sent again."""
    may_be_there = False

    def attempt(client: DaemonClient) -> None:
        nonlocal may_be_there
        prompts = PromptClient(client)
        if may_be_there and prompts.has(session, prompt):
            return
        may_be_there = True
        prompts.send(session, prompt)

    way.ask(attempt)


class Run:
    """A prompt that has been sent, until the model has said all."""

    def __init__(self, way: RetryingClient, session: Session, prompt: Prompt, teller: RunObserver) -> None:
        self._way = way
        self._session = session
        self._prompt = prompt
        self._teller = teller
        self._transcript = Transcript(prompt.id)
        self._told: set[str] = set()
        """The permissions and retries that were told."""

        self._failure: Failure | None = None
        """What OpenCode said of the session."""

        self._silent_since = 0.0

    def follow(self) -> Turn:
        """Wait for the end of the answer and tell what is said; what came of the prompt.

        Raises RunFailedError where nothing comes of it, TimedOutError at the deadline; the run then goes on there.
        """
        with Ears(lambda: self._way.client, self._session.id) as ears:
            while True:
                event = ears.next(self._pause())
                if event is not None and event.kind in WORDS:
                    self._say(self._transcript.hear(event.properties))
                    continue
                if event is not None and event.kind == CONNECTED:
                    self._transcript.miss()
                if event is not None and event.kind == ERROR:
                    self._failure = Failure.from_api(event.properties.get("error"))
                turn = self._look()
                if turn is not None:
                    return turn
                if time.monotonic() > self._way.deadline:
                    raise TimedOutError("The answer did not come to its end in time")

    def _pause(self) -> float:
        return max(0.0, min(LOOK_SECONDS, self._way.deadline - time.monotonic()))

    def _say(self, text: str) -> None:
        if text:
            self._teller.said(text)

    def _look(self) -> Turn | None:
        """How it stands; the turn when it is over."""
        situation, turn = self._way.ask(self._read)
        for asked in situation.waiting:
            if asked.id not in self._told:
                self._told.add(asked.id)
                self._teller.waits(asked)
        retry = f"{situation.attempt} {situation.next_try}"
        if situation.activity is Activity.RETRYING and retry not in self._told:
            self._told.add(retry)
            self._teller.retries(situation)
        if turn is not None:
            self._say(self._transcript.read(turn.answers))
            if turn.is_over and (situation.activity is Activity.IDLE or turn.has_finished):
                return turn
        self._check_work(situation, turn)
        return None

    def _read(self, client: DaemonClient) -> tuple[Situation, Turn | None]:
        situation = examine_situation(client, self._session.id, self._session.directory or None)
        messages: list[Message] = []
        before: str | None = None
        while True:
            content, cursor = SessionClient(client).messages(self._session.id, limit=PAGE, before=before)
            messages[:0] = read_messages(content)
            turn = turn_of(turns(messages), self._prompt.id)
            is_begun = any(message.parent == self._prompt.id for message in messages[:1])
            if turn is not None or cursor is None or not is_begun:
                return situation, turn
            before = cursor  # an answer that is the first of a page has its prompt before it

    def _check_work(self, situation: Situation, turn: Turn | None) -> None:
        """Give it up where nobody works on it, once OpenCode has said why, or for a while."""
        now = time.monotonic()
        hint = f"ocattach session show {self._session.id}"
        settle = STOPPED_SECONDS if turn is not None and turn.last is not None else SETTLE_SECONDS
        if situation.activity is not Activity.IDLE:
            self._silent_since = 0.0
        elif self._failure is not None:
            raise RunFailedError(str(self._failure), hint=hint)
        elif not self._silent_since:
            self._silent_since = now
        elif now - self._silent_since >= settle:
            examination = self._way.ask(lambda client: examine(client, self._session))
            raise RunFailedError(reason_of(examination), hint=hint)


def reason_of(examination: Examination) -> str:
    """Why nothing has come of a prompt."""
    return next(
        (finding.message for finding in examination.findings), "The prompt was sent, and nobody works on it"
    )


class Ears:
    """Listens to what a daemon tells of one session, in a thread of its own, whatever becomes of the way there."""

    def __init__(self, client: Callable[[], DaemonClient], session: str) -> None:
        self._client = client
        self._session = session
        self._heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ocattach-ears", daemon=True)

    def next(self, timeout: float) -> Event | None:
        """The next event; one of the kind CONNECTED says that what came before may have been missed."""
        try:
            return self._heard.get(timeout=timeout)
        except queue.Empty:
            return None

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                kinds = (CONNECTED, ERROR, *WORDS, *CHANGES)
                read_events(self._client(), kinds, self._hear, silence=SILENCE_SECONDS)
            except OcattachError:  # whoever looks at the session meets the same, and tells it
                self._ended.wait(AGAIN_SECONDS)

    def _hear(self, event: Event) -> bool:
        if event.kind == CONNECTED or session_of(event.properties) == self._session:
            self._heard.put(event)
        return not self._ended.is_set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()


def session_of(properties: Any) -> Any:
    """The session that an event is about."""
    about = table(properties)
    told = (about, table(about.get("part")), table(about.get("info")))
    return next((each["sessionID"] for each in told if "sessionID" in each), None)
