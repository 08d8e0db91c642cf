"""Send one prompt and follow its answer to the end, over a connection that may be lost in between."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Self, TypeVar

from ocattach.backoff import Backoff, Deadline
from ocattach.errors import (
    ConnectionLostError,
    OcattachError,
    RunFailedError,
    TimedOutError,
    UnreachableError,
)
from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import (
    CONNECTED,
    RUN_CHANGES,
    RUN_ERROR,
    RUN_TEXT,
    SILENCE_SECONDS,
    Event,
    read_events,
    session_of,
)
from ocattach.opencode.pending import PendingRequest
from ocattach.opencode.prompts import Prompt
from ocattach.opencode.sessions import SessionClient
from ocattach.printable import command_line
from ocattach.sessions.examination import examine, examine_situation
from ocattach.sessions.messages import Failure, Message, Turn, read_messages, turn_of, turns
from ocattach.sessions.record import Session
from ocattach.sessions.situation import Situation
from ocattach.sessions.transcript import Transcript

T = TypeVar("T")

POLL_SECONDS = 5.0
"""How often the session is read even without an event."""

FIRST_PAUSE, LONGEST_PAUSE, JITTER = 0.5, 5.0, 0.25
"""Seconds between two tries to reach a daemon that was lost."""

SETTLE_SECONDS, STOPPED_SECONDS = 60.0, 5.0
"""How long a session may be idle before its prompt counts as ignored, and before a begun answer counts as aborted."""

PAGE = 60
"""Messages of one request."""

MOST_PAGES = 40
"""How many pages of messages are read to find a prompt."""

BACKLOG = 1000
"""Events that are held until they are processed."""

LOST = (ConnectionLostError, TimedOutError, UnreachableError)


class RunObserver:
    """Receives the events of a run. Ignores those for which a subclass has no method."""

    def said(self, text: str) -> None:
        """More text of the answer has arrived."""

    def waits(self, asked: PendingRequest) -> None:
        """The session waits for a person. Called once for each request."""

    def retries(self, situation: Situation) -> None:
        """The request to the model failed and will be repeated. Called once for each failure."""

    def lost(self, reason: str) -> None:
        """The daemon cannot be reached. Called once for each loss."""

    def found(self) -> None:
        """The daemon can be reached again."""


class RetryingClient:
    """Requests to a daemon, repeated after a loss of the connection until a deadline."""

    def __init__(
        self,
        client: DaemonClient,
        reconnect: Callable[[float], DaemonClient],
        observer: RunObserver,
        *,
        deadline: Deadline,
    ) -> None:
        """`reconnect` takes the seconds that are left, and returns a new client.

        Only errors that mean a lost connection are retried.
        """
        self.client = client
        self.deadline = deadline
        self._reconnect = reconnect
        self._observer = observer
        self._is_lost = False

    def ask(self, question: Callable[[DaemonClient], T]) -> T:
        """Return the result of `question`, which must be safe to repeat.

        Raises TimedOutError at the deadline, and every error that does not mean a lost connection at once.
        """
        pauses = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE, jitter=JITTER)
        while True:
            try:
                if self._is_lost:
                    self.client = self._reconnect(self.deadline.left)
                answer = question(self.client)
            except LOST as error:
                self._lose(error)
                time.sleep(min(next(pauses), self.deadline.left))
            else:
                if self._is_lost:
                    self._is_lost = False
                    self._observer.found()
                return answer

    def _lose(self, error: OcattachError) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._observer.lost(error.message)
        if self.deadline.has_passed:
            raise TimedOutError(f"The daemon could not be reached in time: {error.message}") from error


class Run:
    """A prompt that was sent, and its answer."""

    def __init__(
        self, client: RetryingClient, session: Session, prompt: Prompt, observer: RunObserver
    ) -> None:
        self._client = client
        self._session = session
        self._prompt = prompt
        self._observer = observer
        self._transcript = Transcript(prompt.id)
        self._reported: set[str] = set()
        """The requests and retries that the observer knows of."""
        self._failure: Failure | None = None
        """The error that OpenCode reported for the session."""
        self._idle_since = 0.0

    def follow(self, events: "EventSubscription") -> Turn:
        """Report the answer to the observer, and return the turn once it is complete.

        `events` are those of the session, received since before the prompt: the API has no text of a part that is not
        complete (1.18.33). Raises RunFailedError if there will be no answer, TimedOutError at the deadline. The run
        itself then goes on.
        """
        while True:
            event = events.next(min(POLL_SECONDS, self._client.deadline.left))
            if event is not None and event.kind in RUN_TEXT:
                self._say(self._transcript.receive(event.properties))
                continue
            if event is not None and event.kind == CONNECTED:
                self._transcript.miss()
            if event is not None and event.kind == RUN_ERROR:
                self._failure = Failure.from_api(event.properties.get("error"))
            turn = self._poll()
            if turn is not None:
                return turn
            if self._client.deadline.has_passed:
                raise TimedOutError("The answer was not complete in time")

    def _say(self, text: str) -> None:
        if text:
            self._observer.said(text)

    def _poll(self) -> Turn | None:
        """Read the session and report changes. Returns the turn if it is complete."""
        situation, turn = self._client.ask(self._read)
        for asked in situation.waiting:
            if self._is_new(asked.id):
                self._observer.waits(asked)
        retry = f"{situation.attempt} {situation.next_try}"
        if situation.activity is Activity.RETRYING and self._is_new(retry):
            self._observer.retries(situation)
        if turn is not None:
            self._say(self._transcript.read(turn.answers))
            if turn.is_over and (situation.activity is Activity.IDLE or turn.has_finished):
                return turn
        self._check_progress(situation, turn)
        return None

    def _is_new(self, key: str) -> bool:
        is_new = key not in self._reported
        self._reported.add(key)
        return is_new

    def _read(self, client: DaemonClient) -> tuple[Situation, Turn | None]:
        situation = examine_situation(client, self._session.id, self._session.directory or None)
        messages: list[Message] = []
        for page in islice(SessionClient(client).message_pages(self._session.id, limit=PAGE), MOST_PAGES):
            messages[:0] = read_messages(page)
            turn = turn_of(turns(messages), self._prompt.id)
            if turn is not None or not any(each.parent == self._prompt.id for each in messages[:1]):
                return situation, turn
            # The page begins with an answer, so its prompt is on the page before.
        return situation, None

    def _check_progress(self, situation: Situation, turn: Turn | None) -> None:
        """Raise RunFailedError if OpenCode reported an error, or the session has been idle for too long."""
        now = time.monotonic()
        hint = command_line("ocattach", "session", "show", self._session.id)
        settle = STOPPED_SECONDS if turn is not None and turn.last is not None else SETTLE_SECONDS
        if situation.activity is not Activity.IDLE:
            self._idle_since = 0.0
        elif self._failure is not None:
            raise RunFailedError(str(self._failure), hint=hint)
        elif not self._idle_since:
            self._idle_since = now
        elif now - self._idle_since >= settle:
            examination = self._client.ask(lambda client: examine(client, self._session))
            default = "The prompt was sent, but the daemon does not process it"
            raise RunFailedError(next((each.message for each in examination.findings), default), hint=hint)


class EventSubscription:
    """Receives the events of one session in a thread, which reconnects after errors."""

    def __init__(self, client: Callable[[], DaemonClient], session: str) -> None:
        self._client = client
        self._session = session
        self._is_connected = threading.Event()
        self._events: queue.Queue[Event] = queue.Queue(BACKLOG)
        self._defect: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ocattach-events", daemon=True)

    def await_connection(self, timeout: float) -> None:
        """Wait until events are received, at most `timeout` seconds."""
        self._is_connected.wait(timeout)

    def next(self, timeout: float) -> Event | None:
        """Return the next event, or None after `timeout` seconds. Before CONNECTED, events may have been missed.

        Raises an exception of the thread that no code expects.
        """
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            if self._defect is not None:
                raise self._defect from None
            return None

    def _run(self) -> None:
        try:
            self._listen()
        except BaseException as error:  # noqa: BLE001 - raised by `next`
            self._defect = error

    def _listen(self) -> None:
        kinds = (CONNECTED, RUN_ERROR, *RUN_TEXT, *RUN_CHANGES)
        pauses = Backoff(first=FIRST_PAUSE, longest=POLL_SECONDS, jitter=JITTER)
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                read_events(self._client(), kinds, self._receive, silence=SILENCE_SECONDS)
            except OcattachError:  # `Run` gets the same error when it polls, and reports it
                if time.monotonic() - began > SILENCE_SECONDS:
                    pauses.reset()
                self._ended.wait(next(pauses))

    def _receive(self, event: Event) -> bool:
        if event.kind == CONNECTED:
            self._is_connected.set()
        is_ours = event.kind == CONNECTED or session_of(event.properties) == self._session
        while is_ours and not self._ended.is_set():
            with suppress(queue.Full):
                self._events.put(event, timeout=1)
                break
        return not self._ended.is_set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
