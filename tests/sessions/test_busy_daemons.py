"""`ocattach events` beside daemons that are busy: real links to daemons that send a known number of events."""

import json
from collections.abc import Iterable
from typing import Any

from ocattach.link.sessions.event_log import MOST_BYTES
from tests.rigs.busy_daemon import busy_daemons
from tests.rigs.waiting import wait_until

CALLS = 150


def expected(calls: int = CALLS) -> list[tuple[int, str]]:
    """The events of a daemon: call and type."""
    return [(call, event) for call in range(calls) for event in ("tool-start", "tool-end")]


def read_until(lines: Iterable[bytes], last: tuple[int, str], names: list[str]) -> dict[str, list[Any]]:
    """The events of each environment, until each has sent its last one; gaps are the numbers of missed events."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    left = set(names)
    for line in lines:
        event = json.loads(line)
        is_gap = event["event"] == "gap"
        what = event["missed"] if is_gap else (int(event["call"]), event["event"])
        found[event["environment"]].append(what)
        if what == last:
            left.remove(event["environment"])
            if not left:
                break
    return found


def test_each_event_of_several_environments_comes_once_and_in_order() -> None:
    with busy_daemons(3, pace=200, calls=CALLS) as daemons:
        with daemons.read(*daemons.names):
            daemons.await_links()
        with daemons.read("--since-last") as lines:  # of the links that there are
            daemons.begin()
            found = read_until(lines.stdout, expected()[-1], daemons.names)

    assert found == dict.fromkeys(daemons.names, expected())


def test_a_reader_that_stops_gets_a_gap_and_delays_no_other() -> None:
    calls = 250
    with (
        busy_daemons(1, pace=200, calls=calls, length=60_000) as daemons,
        daemons.read("--since-last", *daemons.names) as stopped,
        daemons.read("--since-last", *daemons.names) as reading,
    ):
        daemons.await_links()
        link = wait_until(lambda: found[0] if len(found := daemons.links()) == 1 else None, "one link")
        before = link.memory_info().rss
        daemons.begin()
        last = expected(calls)[-1]
        (all_of_it,) = read_until(reading.stdout, last, daemons.names).values()
        grown = link.memory_info().rss - before
        (some,) = read_until(stopped.stdout, last, daemons.names).values()

    assert all_of_it == expected(calls)
    events = [each for each in some if isinstance(each, tuple)]
    missed = sum(each for each in some if isinstance(each, int))
    assert missed > 0
    sent = expected(calls)[expected(calls).index(events[0]) :]  # the other reader may have been first
    assert len(events) + missed == len(sent)
    assert events == sorted(events, key=sent.index)
    assert grown < 8 * MOST_BYTES
