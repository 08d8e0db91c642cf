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
from collections.abc import Iterator, Mapping
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
    """Use both tunnels, each open all the while."""
    costs: dict[str, list[Costs]] = {"gate": [], "splice": []}
    with contextlib.ExitStack() as stack:
        ends = {kind: stack.enter_context(near_end(port, kind)) for kind in costs}
        for _ in range(repetitions):
            for kind, cost in use(ends).items():
                costs[kind].append(cost)
            ends = dict(reversed(ends.items()))
    return costs


def use(ends: Mapping[str, tuple[int, psutil.Process]]) -> dict[str, Costs]:
    """Measure both tunnels once. They take turns at each request: other work on the machine slows both down."""
    ports = {kind: port for kind, (port, _) in ends.items()}
    opening = take_turns(
        NEW_CONNECTIONS, {kind: partial(first_byte, port, f"/{ANSWER}") for kind, port in ports.items()}
    )
    events = take_turns(
        NEW_CONNECTIONS, {kind: partial(first_byte, port, "/event") for kind, port in ports.items()}
    )
    with contextlib.ExitStack() as stack:
        ways = {kind: stack.enter_context(by_port(port)()) for kind, port in ports.items()}
        trips = take_turns(
            WARM_UP + REQUESTS, {kind: partial(transfer, ways[kind], port) for kind, port in ports.items()}
        )
        up = take_turns(
            1, {kind: partial(transfer, ways[kind], port, up=BULK) for kind, port in ports.items()}
        )
        down = take_turns(
            1, {kind: partial(transfer, ways[kind], port, down=BULK) for kind, port in ports.items()}
        )
    at_once = take_turns(1, {kind: partial(many, port) for kind, port in ports.items()})
    median = statistics.median
    return {
        kind: Costs(
            median(trips[kind][WARM_UP:]),
            statistics.quantiles(trips[kind][WARM_UP:], n=100)[98],
            median(opening[kind]),
            median(events[kind]),
            up[kind][0] / 1000,
            down[kind][0] / 1000,
            at_once[kind][0],
            *memory_of(process),
        )
        for kind, (_, process) in ends.items()
    }


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
