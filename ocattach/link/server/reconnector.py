"""Restores a lost connection without a person: at once, then with growing pauses."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping

from ocattach.backoff import Backoff, Deadline
from ocattach.errors import AuthenticationError, CrashLoopError, OcattachError, PersonNeededError
from ocattach.link.server.history import History
from ocattach.link.server.log import logged_error
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.transports.base import NoPerson

FIRST_PAUSE = 0.1
GROWTH = 2.0
JITTER = 0.5
LONGEST_PAUSE = 1.0
"""The longest pause in seconds, at first."""

PATIENCE = 300.0
"""Seconds after which the pauses are longer."""

LONG_PAUSE = 10.0
"""The pause in seconds from then on. A new request is tried at once."""

QUIET_SECONDS = 60.0
"""How long the link may be unused before it stops retrying until the next use."""

REFUSALS = 3
"""How often credentials may be refused before the link stops retrying: hosts ban repeated failures (fail2ban: 5)."""

JOIN_SECONDS = 5


def pauses() -> Iterator[float]:
    """Return the seconds to wait before each further try."""
    patience = Deadline(PATIENCE)
    soon = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE, growth=GROWTH, jitter=JITTER)
    late = Backoff(first=LONG_PAUSE, longest=LONG_PAUSE, jitter=JITTER)
    while True:
        yield next(late if patience.has_passed else soon)


class Unattended:
    """The client of an attempt without a person."""

    def __init__(self, history: History, command: str) -> None:
        """`command` asks the question again when a person runs it."""
        self._history = history
        self.environ: Mapping[str, str] = os.environ
        self.ask = NoPerson("Reconnecting needs an answer", f"Run in a terminal: {command}")

    def doing(self, text: str) -> None:
        """Do nothing."""

    def step(self, text: str) -> None:
        """Add the step to the history."""
        self._history.note(text)

    def notice(self, text: str) -> None:
        """Keep the notice for the next command."""
        self._history.report(text)


class Reconnector:
    """A thread that restores a link's connection when it is lost and in use.

    `restore` tries once, `is_wanted` returns whether the link is in use, and `give_up` is called with the error after
    which only a person can help.
    """

    def __init__(
        self,
        restore: Callable[[], None],
        *,
        state: StateMachine,
        is_wanted: Callable[[], bool],
        give_up: Callable[[OcattachError], object],
    ) -> None:
        self._restore = restore
        self._state, self._is_wanted, self._give_up = state, is_wanted, give_up
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ocattach-reconnector", daemon=True)
        self._thread.start()

    def retry_now(self) -> None:
        """Try now, if the connection is lost. Never blocks."""
        self._wake.set()

    def end(self) -> None:
        """End the thread. The caller must have ended what it may be waiting for."""
        self._ending.set()
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                if self._has_work():
                    self._keep_trying()
            except Exception as error:  # noqa: BLE001 - the next request tries again
                logged_error(error)

    def _has_work(self) -> bool:
        is_lost = self._state.state is LinkState.LOST and self._state.error is None
        return is_lost and self._is_wanted() and not self._ending.is_set()

    def _keep_trying(self) -> None:
        refusals = 0
        for pause in pauses():
            try:
                self._restore()
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is tried again
                error = logged_error(failure)
                refusals = refusals + 1 if isinstance(error, AuthenticationError) else 0
                if isinstance(error, PersonNeededError | CrashLoopError) or refusals >= REFUSALS:
                    self._give_up(error)
            if not self._has_work():
                return
            # Held requests wake the thread, but must not shorten this pause.
            self._ending.wait(min(pause, LONGEST_PAUSE))
            if pause > LONGEST_PAUSE:
                self._wake.wait(pause - LONGEST_PAUSE)
            self._wake.clear()
