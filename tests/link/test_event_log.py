"""The events that a link keeps: bounded, and every reader knows what it missed."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from ocattach.link.messages import HungUpError, MessageChannel
from ocattach.link.server.events import send_events
from ocattach.link.sessions.event_log import EventLog
from tests.rigs.waiting import wait_until


def line(number: int) -> bytes:
    return json.dumps({"event": "answer", "number": number}).encode()


class Reader:
    """A command that reads the events of a link, at the other end of a socket."""

    def __init__(self, log: EventLog, *, is_resumed: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self.channel = MessageChannel(ours)
        served = MessageChannel(theirs)

        def serve() -> None:
            try:
                send_events(served, log, is_resumed=is_resumed)
            except HungUpError:
                pass
            finally:
                served.close()

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        wait_until(lambda: log.has_readers, "the reader")

    def read(self, count: int) -> list[Any]:
        messages = [self.channel.receive(timeout=20) for _ in range(count)]
        return [each.get("number", each["event"]) for each in messages]

    def close(self) -> None:
        self.channel.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def read() -> Iterator[Callable[..., Reader]]:
    """Starts readers."""
    with ExitStack() as opened:

        def start(log: EventLog, *, is_resumed: bool = False) -> Reader:
            return opened.enter_context(closing(Reader(log, is_resumed=is_resumed)))

        yield start


def numbers(log: EventLog, start: int, end: int) -> None:
    for number in range(start, end):
        log.append(line(number))


def test_a_reader_gets_what_comes_after_it_began(read: Callable[..., Reader]) -> None:
    log = EventLog()
    numbers(log, 0, 3)
    reader = read(log)
    numbers(log, 3, 6)

    assert reader.read(3) == [3, 4, 5]


def test_a_reader_goes_on_where_the_last_one_stopped(read: Callable[..., Reader]) -> None:
    log = EventLog()
    reader = read(log)
    numbers(log, 0, 3)
    assert reader.read(3) == [0, 1, 2]
    reader.channel.close()
    wait_until(lambda: not log.has_readers, "the reader to go")
    numbers(log, 3, 5)

    assert read(log, is_resumed=True).read(2) == [3, 4]


@pytest.mark.parametrize(
    "bounds", [lambda: EventLog(most=10), lambda: EventLog(most_bytes=10 * len(line(999)))]
)
def test_what_is_dropped_is_a_gap(bounds: Callable[[], EventLog], read: Callable[..., Reader]) -> None:
    log = bounds()
    numbers(log, 100, 200)
    reader = read(log, is_resumed=True)

    assert reader.read(11) == ["gap", *range(190, 200)]


def test_a_reader_that_stops_costs_no_memory_and_delays_nobody(read: Callable[..., Reader]) -> None:
    log = EventLog(most=1000)
    slow, fast = read(log), read(log)
    wide = json.dumps({"event": "answer", "number": 1, "text": "x" * 10_000}).encode()
    for _ in range(50):
        for _ in range(100):
            log.append(wide)
        fast.read(100)

    assert log.read(0, 0)[1] >= 4000
    while slow.read(1) != ["gap"]:
        pass
    log.close()
