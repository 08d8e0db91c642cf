"""What a way to a port is worth: round trips, throughput, new connections."""

import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

from benchmarks.figures import Figure, Goal
from benchmarks.places import Place, milliseconds

ROUND_TRIPS = 500
WARM_UP = 50
PAYLOAD = bytes(100)
BULK = 32 * 1024 * 1024
CHUNK = 256 * 1024
MEBIBYTE = 1024 * 1024
SECONDS = 60


class Way(Protocol):
    """A duplex connection to the far end."""

    def send(self, data: bytes) -> None:
        """Send it all."""

    def receive(self, count: int) -> None:
        """Take in exactly so many bytes."""


class SocketWay:
    """By a port of this machine."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = memoryview(bytearray(CHUNK))

    def send(self, data: bytes) -> None:
        """Send it all."""
        self._connection.sendall(data)

    def receive(self, count: int) -> None:
        """Take in exactly so many bytes."""
        while count:
            taken = self._connection.recv_into(self._buffer[: min(count, CHUNK)])
            if not taken:
                raise ConnectionResetError
            count -= taken


class PipeWay:
    """By a program's input and output."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin, self._stdout = stdin, stdout

    def send(self, data: bytes) -> None:
        """Write it all, at once."""
        self._stdin.write(data)
        self._stdin.flush()

    def receive(self, count: int) -> None:
        """Take in exactly so many bytes."""
        while count:
            taken = len(self._stdout.read(min(count, CHUNK)))
            if not taken:
                raise ConnectionResetError
            count -= taken


Open = Callable[[], AbstractContextManager[Way]]


def by_port(port: int) -> Open:
    """New connections to a port of this machine."""

    @contextmanager
    def connect() -> Iterator[Way]:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield SocketWay(connection)

    return connect


def by_netcat(place: Place, port: int) -> Open:
    """`docker exec -i NAME nc 127.0.0.1 PORT` and its like, one for each connection."""

    @contextmanager
    def connect() -> Iterator[Way]:
        argv = place.exec("nc", "127.0.0.1", str(port), stdin=True)
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=place.environment.variables
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError(argv)
            yield PipeWay(process.stdin, process.stdout)

    return connect


@dataclass(frozen=True, slots=True)
class Traffic:
    """One look at a way."""

    new_connection: float
    """Milliseconds from nothing to the first byte that came back."""

    round_trip: float
    """Milliseconds, the median."""

    slow_round_trip: float
    """Milliseconds, the 99th percentile."""

    up: float
    down: float
    """MiB/s."""


def look(connect: Open, *, connections: int, round_trips: int = ROUND_TRIPS) -> Traffic:
    """Use a way; the new connection is the median of several."""
    opening = [open_one(connect) for _ in range(connections)]
    with connect() as way:
        way.send(b"e")
        trips = [round_trip(way) for _ in range(WARM_UP + round_trips)][WARM_UP:]
    with connect() as way:
        up = bulk(lambda: upload(way))
        down = bulk(lambda: download(way))
    slow = statistics.quantiles(trips, n=100)[98]
    return Traffic(statistics.median(opening), statistics.median(trips), slow, up, down)


def open_one(connect: Open) -> float:
    begun = time.perf_counter()
    with connect() as way:
        way.send(b"e?")
        way.receive(1)
        return milliseconds(begun)


def round_trip(way: Way) -> float:
    begun = time.perf_counter()
    way.send(PAYLOAD)
    way.receive(len(PAYLOAD))
    return milliseconds(begun)


def bulk(transfer: Callable[[], None]) -> float:
    begun = time.perf_counter()
    transfer()
    return BULK / MEBIBYTE / (time.perf_counter() - begun)


def upload(way: Way) -> None:
    way.send(b"u" + BULK.to_bytes(8))
    block = bytes(CHUNK)
    for _ in range(BULK // CHUNK):
        way.send(block)
    way.receive(1)


def download(way: Way) -> None:
    way.send(b"d" + BULK.to_bytes(8))
    way.receive(BULK)


def figures(
    scheme: str, ours: list[Traffic], others: list[Traffic], against: str, goal: Goal | None = None
) -> Iterator[Figure]:
    """Two ways, side by side; the goal is for new connections and round trips."""

    def figure(
        what: str,
        unit: str,
        pick: Callable[[Traffic], float],
        *,
        goal: Goal | None = None,
        higher: bool = False,
    ) -> Figure:
        mine, theirs = [pick(one) for one in ours], [pick(one) for one in others]
        return Figure(f"{scheme}: {what}", unit, mine, against, theirs, goal, higher_is_better=higher)

    yield figure("new connection", "ms", lambda traffic: traffic.new_connection, goal=goal)
    yield figure("round trip, median", "ms", lambda traffic: traffic.round_trip, goal=goal)
    yield figure("round trip, 99th percentile", "ms", lambda traffic: traffic.slow_round_trip)
    yield figure("up", "MiB/s", lambda traffic: traffic.up, higher=True)
    yield figure("down", "MiB/s", lambda traffic: traffic.down, higher=True)
