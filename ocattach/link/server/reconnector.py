"""Brings a lost connection back, without a person: again and again, at first at once, then less and less often."""

import threading
import time
from collections.abc import Callable, Iterator

from ocattach.backoff import Backoff
from ocattach.errors import AuthenticationError, CrashLoopError, OcattachError, PersonNeededError
from ocattach.link.server.history import History
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.transports.base import Question

FIRST_PAUSE = 0.1
GROWTH = 2.0
JITTER = 0.5
LONGEST_PAUSE = 1.0
"""Seconds between two tries while somebody may be waiting for a far side that comes back any moment."""

PATIENCE = 300.0
"""Seconds after which a far side is not expected back any moment."""

LONG_PAUSE = 10.0
"""Seconds between two tries from then on; who begins to wait is tried for at once."""

QUIET_SECONDS = 60.0
"""How long nobody may have used the link before no more is tried, until somebody does."""

REFUSALS = 3
"""How often credentials may be refused before no more is tried: hosts ban those who go on (fail2ban, 5 by default)."""

JOIN_SECONDS = 5


def pauses() -> Iterator[float]:
    """Seconds to wait before each further try."""
    began = time.monotonic()
    soon = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE, growth=GROWTH, jitter=JITTER)
    late = Backoff(first=LONG_PAUSE, longest=LONG_PAUSE, jitter=JITTER)
    while True:
        yield next(soon if time.monotonic() - began < PATIENCE else late)


class Unattended:
    """In the place of a person, when there is none."""

    def __init__(self, history: History, command: str) -> None:
        """`command` is what a person has to type to be asked."""
        self._history, self._command = history, command

    def ask(self, question: Question) -> str:
        """Nobody answers."""
        raise PersonNeededError(
            f"Connecting again needs an answer: {question.text.strip(' :')}",
            hint=f"In a terminal: {self._command}",
        )

    def step(self, text: str) -> None:
        """Remember the step."""
        self._history.note(text)

    def notice(self, text: str) -> None:
        """Keep it for the next person."""
        self._history.tell(text)


class Reconnector:
    """A thread that restores a link's connection whenever that is lost and somebody wants it.

    `restore` tries once, `is_wanted` says whether anybody uses the link, and `give_up` is called with the error after
    which only a person can help.
    """

    def __init__(
        self,
        restore: Callable[[], None],
        *,
        state: StateMachine,
        is_wanted: Callable[[], bool],
        give_up: Callable[[OcattachError], None],
    ) -> None:
        self._restore = restore
        self._state, self._is_wanted, self._give_up = state, is_wanted, give_up
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ocattach-reconnector", daemon=True)
        self._thread.start()

    def retry_now(self) -> None:
        """There is something to do, or somebody waits: look at once. Never blocks."""
        self._wake.set()

    def end(self) -> None:
        """End the thread, which whoever calls this has made able to end by ending what it may be waiting for."""
        self._ending.set()
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._has_work():
                self._keep_trying()

    def _has_work(self) -> bool:
        is_lost = self._state.state is LinkState.LOST and self._state.error is None
        return is_lost and self._is_wanted() and not self._ending.is_set()

    def _keep_trying(self) -> None:
        refusals = 0
        for pause in pauses():
            try:
                self._restore()
            except OcattachError as error:
                refusals = refusals + 1 if isinstance(error, AuthenticationError) else 0
                if isinstance(error, PersonNeededError | CrashLoopError) or refusals >= REFUSALS:
                    self._give_up(error)
            if not self._has_work():
                return
            # Nobody is spared this pause: whoever waits wakes us at every try.
            self._ending.wait(min(pause, LONGEST_PAUSE))
            if pause > LONGEST_PAUSE:
                self._wake.wait(pause - LONGEST_PAUSE)
            self._wake.clear()
