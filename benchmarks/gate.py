"""The gate of a local port, against the splice without one: requests, transfers, connections, memory.

Both have the cheapest route there is, TCP to a port of this machine, so that the gate's part is largest.
RSS and USS are those of a process with a tunnel alone, after all the rest; the one without a gate has no h11.
"""

import base64
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import psutil

from benchmarks.far_end import answer_head, far_end
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.memory import memory_of
from benchmarks.places import Places, milliseconds
from benchmarks.traffic import MEBIBYTE, WARM_UP, Way, by_port
from tests.rigs.opencode import CHECKOUT

CREDENTIAL = f"Basic {base64.b64encode(b'opencode:stand-in').decode()}"
HEADERS = (
    f"Authorization: {CREDENTIAL}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\nUser-Agent: opencode/1.18.33\r\n"
)
REQUESTS, NEW_CONNECTIONS, AT_ONCE, ROUNDS = 500, 50, 200, 5
BULK = 100 * MEBIBYTE
CHUNK = 256 * 1024
ANSWER = 100
SECONDS = 60

SLOWER = Goal("difference", 0.15)
"""Milliseconds for a request."""

BULK_GOAL = Goal("value", 1)
"""Seconds for 100 MiB."""

BIGGER = Goal("difference", 5)
"""MiB."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one tunnel costs; each value in the unit of its figure."""

    round_trip: float
    slow_round_trip: float
    new_connection: float
    first_event: float
    up: float
    down: float
    at_once: float
    rss: float
    uss: float


FIGURES = (
    ("round_trip", "round trip, median", "ms", SLOWER),
    ("slow_round_trip", "round trip, 99th percentile", "ms", None),
    ("new_connection", "first request of a connection", "ms", SLOWER),
    ("first_event", "first byte of a stream of events", "ms", SLOWER),
    ("up", "100 MiB up", "s", BULK_GOAL),
    ("down", "100 MiB down", "s", BULK_GOAL),
    ("at_once", f"{AT_ONCE} connections at once, for each request", "ms", SLOWER),
    ("rss", "memory, RSS", "MiB", BIGGER),
    ("uss", "memory, USS", "MiB", None),
)


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """One tunnel with a gate and one without, side by side."""
    with far_end(places["local"].environment.network) as port:
        costs = compare(port, repetitions)
    for field, what, unit, goal in FIGURES:
        ours, others = ([getattr(one, field) for one in costs[kind]] for kind in ("gate", "splice"))
        yield Figure(what, unit, ours, "without the gate", others, goal)


def compare(port: int, repetitions: int) -> dict[str, list[Costs]]:
    """Use both tunnels in turns, each open all the while."""
    with near_end(port, "gate") as gate, near_end(port, "splice") as splice:
        return take_turns(repetitions, {"gate": partial(use, *gate), "splice": partial(use, *splice)})


def use(local: int, process: psutil.Process) -> Costs:
    """Measure a tunnel once."""
    opening = [first_byte(local, f"/{ANSWER}") for _ in range(NEW_CONNECTIONS)]
    events = [first_byte(local, "/event") for _ in range(NEW_CONNECTIONS)]
    with by_port(local)() as way:
        trips = [transfer(way, local) for _ in range(WARM_UP + REQUESTS)][WARM_UP:]
        up = transfer(way, local, up=BULK) / 1000
        down = transfer(way, local, down=BULK) / 1000
    at_once = many(local)
    rss, uss = memory_of(process)
    slow = statistics.quantiles(trips, n=100)[98]
    median = statistics.median
    return Costs(median(trips), slow, median(opening), median(events), up, down, at_once, rss, uss)


def head(port: int, path: str, length: int = 0) -> bytes:
    """A request as a TUI sends it."""
    method = f"POST {path} HTTP/1.1\r\nContent-Length: {length}" if length else f"GET {path} HTTP/1.1"
    return f"{method}\r\nHost: 127.0.0.1:{port}\r\n{HEADERS}\r\n".encode()


def first_byte(port: int, path: str) -> float:
    """Milliseconds from a new connection to the first byte of its response."""
    begun = time.perf_counter()
    with by_port(port)() as way:
        way.send(head(port, path))
        way.receive(1)
        return milliseconds(begun)


def transfer(way: Way, port: int, *, up: int = 0, down: int = ANSWER) -> float:
    """Milliseconds of a request with a body of `up` bytes, answered by `down`."""
    begun = time.perf_counter()
    way.send(head(port, f"/{down}", up))
    block = bytes(CHUNK)
    for _ in range(up // CHUNK):
        way.send(block)
    way.receive(len(answer_head(down)) + down)
    return milliseconds(begun)


def many(port: int) -> float:
    """Milliseconds for each request, when so many connections make one at a time."""
    with contextlib.ExitStack() as stack:
        begun = time.perf_counter()
        ways = [stack.enter_context(by_port(port)()) for _ in range(AT_ONCE)]
        for _ in range(ROUNDS):
            for way in ways:
                way.send(head(port, f"/{ANSWER}"))
            for way in ways:
                way.receive(len(answer_head(ANSWER)) + ANSWER)
        return milliseconds(begun) / (AT_ONCE * ROUNDS)


@contextlib.contextmanager
def near_end(port: int, kind: str) -> Iterator[tuple[int, psutil.Process]]:
    """A tunnel in a process of its own; its local port."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gate_end", kind, str(port), CREDENTIAL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        text=True,
        start_new_session=True,  # a Ctrl-C is for the measurement, which then ends it
    ) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else ""), psutil.Process(process.pid)
        finally:
            process.communicate()
