"""The feed of a link: what was missed in a gap is read until it could be read."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.link.sessions import feed as feed_module
from ocattach.link.sessions.connections import UsedConnections
from ocattach.link.sessions.feed import Feed, least_ahead
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import CONNECTED, CREATED, Event
from tests.rigs.waiting import wait_until

SESSION = "ses_6b8a2f0d1ffeZ9xQ2vW7yTnK4r"


class Daemon:
    """A daemon whose first answers are errors, and then a session that was made meanwhile."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]
        self.since: list[float] = []

    def open(self) -> DaemonClient:
        return cast("DaemonClient", SimpleNamespace(health=lambda: SimpleNamespace(date="")))

    def missed_events(self, _client: object, _known: object, since: float) -> Iterator[Event]:
        self.since.append(since)
        if self.errors:
            raise self.errors.pop(0)
        yield Event(
            CREATED, "/app", {"sessionID": SESSION, "info": {"id": SESSION, "title": "made in the gap"}}
        )


@contextmanager
def running(feed: Feed) -> Iterator[None]:
    """The feed's thread, until the end of the block."""
    thread = threading.Thread(target=feed.run)
    thread.start()
    try:
        yield
    finally:
        feed.end()
        thread.join()


@pytest.mark.parametrize("errors", [[], [TimedOutError("busy")], [ConnectionLostError("lost")] * 4])
def test_what_was_missed_is_read_again_until_it_could_be_read(
    errors: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(*errors)
    seen: list[Any] = []
    monkeypatch.setattr(feed_module, "missed_events", daemon.missed_events)
    monkeypatch.setattr(feed_module, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(feed_module, "SETTLED_SECONDS", 0.02)
    feed = Feed(UsedConnections(), daemon.open, [lambda event, _: seen.append(event)])
    with running(feed):
        feed.receive(Event(CONNECTED, "", {}))
        wait_until(lambda: feed.is_settled or errors, "the first stream to be read")
        feed.lose("it was cut")
        feed.receive(Event(CONNECTED, "", {}))

        wait_until(lambda: feed.is_settled, "the gap to be read")

    assert [each["event"] for each in seen if each["event"] != "gap"] == ["session-start"]
    assert not daemon.errors


def test_what_happened_before_the_first_stream_is_reported_without_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon()
    seen: list[Any] = []
    monkeypatch.setattr(feed_module, "missed_events", daemon.missed_events)
    monkeypatch.setattr(feed_module, "SETTLED_SECONDS", 0.02)
    feed = Feed(UsedConnections(), daemon.open, [lambda event, _: seen.append(event["event"])])
    opened = time.time() * 1000
    feed.open()
    time.sleep(0.05)
    with running(feed):
        feed.receive(Event(CONNECTED, "", {}))
        wait_until(lambda: feed.is_settled, "the beginning to be read")

    assert seen == ["session-start"]
    assert opened <= daemon.since[0] < opened + 50


def test_a_gap_that_could_not_be_read_before_the_next_one_is_read_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon()
    seen: list[Any] = []
    monkeypatch.setattr(feed_module, "missed_events", daemon.missed_events)
    monkeypatch.setattr(feed_module, "LATE_SECONDS", 0)
    monkeypatch.setattr(feed_module, "MARGIN_MS", 0)
    monkeypatch.setattr(feed_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(feed_module, "SETTLED_SECONDS", 0.01)
    feed = Feed(UsedConnections(), daemon.open, [lambda event, _: seen.append(event)])
    feed.receive(Event(CONNECTED, "", {}))
    feed.lose("it was cut")
    first_gap = time.time() * 1000
    feed.receive(Event(CONNECTED, "", {}))
    daemon.errors = [ConnectionLostError("lost")] * 20
    with running(feed):
        wait_until(lambda: feed.is_settled, "the feed to give up")
        feed.receive(Event("session.idle", "/app", {"sessionID": SESSION}))
        daemon.errors.clear()
        feed.lose("it was cut again")
        time.sleep(0.05)
        feed.receive(Event(CONNECTED, "", {}))
        wait_until(lambda: feed.is_settled, "both gaps to be read")

    assert daemon.since[-2] <= first_gap, "the last read covers the first gap"
    assert [each["event"] for each in seen if each["event"] != "gap"] == ["session-start"]


def test_a_stream_that_begins_while_a_gap_is_read_is_read_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon()
    seen: list[Any] = []
    monkeypatch.setattr(feed_module, "missed_events", daemon.missed_events)
    feed = Feed(UsedConnections(), daemon.open, [lambda event, _: seen.append(event)])
    feed.receive(Event(CONNECTED, "", {}))
    feed.lose("it was cut")
    daemon.errors = [ConnectionLostError("lost")] * 2
    with running(feed):
        feed.receive(Event(CONNECTED, "", {}))
        wait_until(lambda: not daemon.errors, "two reads to fail")
        feed.receive(Event("session.idle", "/app", {"sessionID": SESSION}))
        feed.lose("it was cut again")
        feed.receive(Event(CONNECTED, "", {}))
        wait_until(lambda: feed.is_settled, "both gaps to be read")

    assert [each["event"] for each in seen] == ["gap", "gap", "session-start"]


@pytest.mark.parametrize(
    ("date", "asked", "answered", "ahead"),
    [
        (50_000, 50_400, 50_410, 0),
        (50_000, 50_990, 51_010, 0),
        (54_000, 50_400, 54_900, 0),  # the daemon was busy for more than 4 s
        (50_000, 54_000, 54_010, -4_010),
        (60_000, 50_400, 52_400, 7_600),
    ],
)
def test_the_time_that_an_answer_takes_is_not_a_clock_that_is_ahead(
    date: float, asked: float, answered: float, ahead: float
) -> None:
    assert least_ahead(date, asked, answered=answered) == ahead
