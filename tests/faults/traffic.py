"""All that goes through a link while faults are induced."""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.faults.clients import EventReader, Sender, Way
from tests.faults.ledger import Ledger
from tests.faults.site import Site
from tests.rigs.waiting import wait_until

INTERVAL = 0.1
"""Seconds between two prompts of a sender."""

FLOWING_SECONDS = 30


class Traffic:
    """Senders with a session each, half of which keep their connection, and readers of events. Use `with`."""

    def __init__(self, site: Site, way: Way, *, senders: int, readers: int, interval: float) -> None:
        self.ledger = Ledger()
        self._way = way
        self._site = site
        self._counts = senders, readers
        self._interval = interval
        self._senders: list[Sender] = []
        self.readers: list[EventReader] = []
        self.sessions: list[str] = []

    def __enter__(self) -> Self:
        senders, readers = self._counts
        with ExitStack() as stack:
            stack.callback(self.stop)
            self.sessions = [self._site.daemon.make_session() for _ in range(senders)]
            self.readers = [EventReader(self._way) for _ in range(readers)]
            self._senders = [
                Sender(
                    self._way, self.ledger, session, interval=self._interval, keeps_connection=number % 2 == 1
                )
                for number, session in enumerate(self.sessions)
            ]
            self.await_flow(time.monotonic(), FLOWING_SECONDS)
            stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, and return when every sender has its last answer. Stopping twice is harmless."""
        for sender in self._senders:
            sender.ask_to_stop()
        for sender in self._senders:
            sender.join()
        for reader in self.readers:
            reader.stop()
        self._senders.clear()

    def await_flow(self, moment: float, seconds: float) -> float:
        """When the first prompt after a moment was accepted, while events are read again by all."""
        accepted = wait_until(
            lambda: self.ledger.accepted_after(moment),
            "a prompt to be accepted",
            timeout=seconds,
        )
        wait_until(
            lambda: all(reader.is_up() for reader in self.readers), "the event streams", timeout=seconds
        )
        return accepted

    def await_end(self, moment: float, seconds: float) -> float:
        """When the last of the readers' streams has ended after a moment."""

        def ended() -> float | None:
            times = [reader.ended_after(moment) for reader in self.readers]
            return None if None in times else max(time for time in times if time)

        return wait_until(ended, "the event streams to end", timeout=seconds)
