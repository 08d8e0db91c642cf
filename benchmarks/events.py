"""The feed of events: how late a line of `ocattach events` is, and what a busy daemon costs its link.

The delay is from the time in OpenCode's own event, whose clock a container shares, to the line; against it, a client
that reads the daemon's stream through the same link.
The processor time is that of the listener of a link alone, with a server that sends tool calls at a fixed pace.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.events_end import busy_daemon, listening
from benchmarks.figures import Figure, Goal
from benchmarks.places import NAME, OCATTACH, Place, Places
from ocattach.opencode.api import read_data
from ocattach.opencode.events import Event
from tests.main_job.laptop import Daemon

DELAY, SHARE = Goal("value", 20), Goal("value", 10)
SESSIONS = 50
PACE, SECONDS = 200, 10
"""Events in a second, and for how long."""

STARTED = "session-start"


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The delay in a container, then the processor time."""
    for place in places.available("docker"):
        ours, others = delays(place)
        yield Figure("docker: event to line", "ms", ours, "event to a reader of /global/event", others, DELAY)
    shares = [float(by_itself()) for _ in range(max(1, repetitions // 5))]
    yield Figure(f"link at {PACE} events/s", "% of a core", shares, goal=SHARE)


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
        sessions = [daemon.make_session() for _ in range(SESSIONS)]
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
    with daemon.stream("GET", "/global/event") as stream:
        for line in stream:
            now = time.time() * 1000
            payload: dict[str, Any] = read_data(line).get("payload") or {}
            if payload.get("type") == "session.created":
                event = Event("", "", {}, str(payload.get("id") or ""))
                found[payload["properties"]["sessionID"]] = event.sent_at(now), now


def by_itself() -> str:
    """Run `listen` in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.events"]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout


def listen() -> float:
    """Return the share of a core that a link's listener takes, in per cent."""
    with busy_daemon(PACE) as url, listening(url) as count:
        wait_for(lambda: count() > PACE)
        began, used, first = time.monotonic(), time.process_time(), count()
        time.sleep(SECONDS)
        share = 100 * (time.process_time() - used) / (time.monotonic() - began)
        if count() - first < PACE * SECONDS * 0.9:
            raise RuntimeError(f"only {count() - first} events in {SECONDS} s")
    return share


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


if __name__ == "__main__":
    print(listen())
