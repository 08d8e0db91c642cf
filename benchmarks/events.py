"""The feed of events: how late a line of `ocattach events` is, and what busy daemons cost their links and its reader.

The delay is from the time in OpenCode's own event, whose clock a container shares, to the line; against it, a client
that reads the daemon's stream through the same link.
The daemons that are busy are a server that sends a known number of tool calls, with outputs of 2,000 characters; each
of their events has to become one line, in order. The processor time is that of whole link processes.
"""

import itertools
import json
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import psutil

from benchmarks.figures import Figure, Goal
from benchmarks.places import NAME, OCATTACH, Place, Places
from ocattach.opencode.api import read_data
from ocattach.opencode.events import Event
from tests.main_job.laptop import Daemon
from tests.rigs.busy_daemon import busy_daemons

DELAY, SHARE = Goal("value", 20), Goal("value", 10)
SESSIONS = 50
PAUSE_SECONDS = 0.1
"""Between two sessions: OpenCode's own events wait for each other."""

PACE, SECONDS, MANY = 200, 10, 20
"""Events in a second, for how long, and from how many environments at once."""

SETTLED_SECONDS = 3.0
"""How long after its connection a link may still read what it missed."""

STARTED = "session-start"


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The delay in a container, then the processor time."""
    for place in places.available("docker"):
        ours, others = delays(place)
        yield Figure("docker: event to line", "ms", ours, "event to a reader of /global/event", others, DELAY)
    for count in (1, MANY):
        links, readers = zip(*(follow(count) for _ in range(max(1, repetitions // 5))), strict=True)
        what = f"{PACE} events/s from each of {count}"
        yield Figure(f"{what}: a link", "% of a core", links, goal=SHARE)
        yield Figure(f"{what}: their reader", "% of a core", readers)


def delays(place: Place) -> tuple[list[float], list[float]]:
    """Milliseconds from new sessions' events to our lines, and to the daemon's own stream."""
    daemon = Daemon(place.connect())
    lines: dict[str, float] = {}
    raw: dict[str, tuple[float, float]] = {}
    argv = [*OCATTACH, "events", NAME, "--type", STARTED]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, env=place.environment.variables, cwd=place.laptop.cwd
    ) as reading:
        if reading.stdout is None:
            raise TypeError(reading)
        threads = [
            threading.Thread(target=read_lines, args=(reading.stdout, lines), daemon=True),
            threading.Thread(target=read_stream, args=(daemon, raw), daemon=True),
        ]
        for thread in threads:
            thread.start()
        while not (lines and raw):  # both listen
            daemon.make_session()
            time.sleep(0.2)
        time.sleep(SETTLED_SECONDS)
        sessions = []
        for _ in range(SESSIONS):
            sessions.append(daemon.make_session())
            time.sleep(PAUSE_SECONDS)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not all(each in lines and each in raw for each in sessions):
            time.sleep(0.05)
        reading.terminate()
    seen = [each for each in sessions if each in lines and each in raw]
    return (
        [lines[each] - raw[each][0] for each in seen],
        [raw[each][1] - raw[each][0] for each in seen],
    )


def read_lines(pipe: Iterable[bytes], found: dict[str, float]) -> None:
    """Note when each session's line came, in milliseconds since the epoch."""
    for line in pipe:
        found[json.loads(line)["session"]] = time.time() * 1000


def read_stream(daemon: Daemon, found: dict[str, tuple[float, float]]) -> None:
    """Note when each session's event was sent, and when it came."""
    with suppress(OSError), daemon.stream("GET", "/global/event") as stream:
        for line in stream:
            now = time.time() * 1000
            payload: dict[str, Any] = read_data(line).get("payload") or {}
            if payload.get("type") == "session.created":
                event = Event("", "", {}, str(payload.get("id") or ""))
                found[payload["properties"]["sessionID"]] = event.sent_at(now), now


def follow(count: int) -> tuple[float, float]:
    """Read busy daemons to their end. Returns the share of a core of each link, and of the reader, in per cent.

    Raises RuntimeError if an event is missing, repeated or out of order.
    """
    calls = PACE * SECONDS // 2
    every = [(str(call), event) for call in range(calls) for event in ("tool-start", "tool-end")]
    found: dict[str, list[tuple[str, str]]] = {}
    with busy_daemons(count, pace=PACE, calls=calls) as daemons, daemons.read(*daemons.names) as lines:
        daemons.await_links()
        time.sleep(SETTLED_SECONDS)
        processes = [*daemons.links(), psutil.Process(lines.pid)]
        began, used = time.monotonic(), processor_times(processes)
        daemons.begin()
        for line in itertools.islice(lines.stdout, count * len(every)):
            event = json.loads(line)
            found.setdefault(event["environment"], []).append((event.get("call"), event["event"]))
        took = time.monotonic() - began
        shares = [
            100 * (after - before) / took
            for before, after in zip(used, processor_times(processes), strict=True)
        ]
    if found != dict.fromkeys(daemons.names, every):
        raise RuntimeError({name: len(events) for name, events in found.items()})
    return statistics.mean(shares[:-1]), shares[-1]


def processor_times(processes: Iterable[psutil.Process]) -> list[float]:
    """The seconds of a processor that each has used."""
    return [each.cpu_times().user + each.cpu_times().system for each in processes]
