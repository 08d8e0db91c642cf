"""What anybody on this machine can see of processes: their arguments, and where they listen.

All of it is read from outside, so that it holds for containers and for the machines behind sshd as well.
"""

import ipaddress
import math
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from tests.rigs.namespaces import Network

PROC = Path("/proc")
LISTEN = "0A"  # as /proc/net/tcp has it
WORD = 8  # hexadecimal digits of one 32 bit word
PAUSE = 0.005
YOUNG = 0.5
"""Seconds for which a process may still become another program by exec."""

ALL_AGAIN = 0.05


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        address = ipaddress.ip_address(self.host)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback


def listeners(network: Network) -> list[Listener]:
    """All that listens in a network."""
    found = []
    for table in ("tcp", "tcp6"):
        lines = (network.process / "net" / table).read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        found += [_listener(row[1]) for row in rows if row[3] == LISTEN]
    return found


def listeners_of(processes: Iterable[psutil.Process]) -> list[Listener]:
    """What these processes listen on, wherever they are; those that have ended listen on nothing."""
    found = []
    for process in processes:
        try:
            connections = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            continue
        found += [Listener(*c.laddr) for c in connections if c.status == psutil.CONN_LISTEN and c.laddr]
    return found


def command_lines() -> Iterator[tuple[int, tuple[str, ...]]]:
    """The arguments of every process that can be seen from here, those in containers included."""
    for pid in process_ids():
        if argv := command_line(pid):
            yield pid, argv


def process_ids() -> list[int]:
    """Every process that can be seen from here."""
    return [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]  # noqa: PTH208  it is called often


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments of a process, none if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  as above
            raw = file.read()
    except OSError:
        return ()
    return tuple(raw.decode(errors="replace").rstrip("\0").split("\0")) if raw else ()


def processes_in(namespace: str) -> list[psutil.Process]:
    """The processes of a PID namespace, by what /proc/PID/ns/pid says of it."""
    found = []
    for pid in process_ids():
        with suppress(OSError, psutil.NoSuchProcess):
            if os.readlink(f"/proc/{pid}/ns/pid") == namespace:  # noqa: PTH115  as above
                found.append(psutil.Process(pid))
    return found


def environments() -> Iterator[tuple[int, dict[str, str]]]:
    """The environment of every process that lets us see it."""
    for process in psutil.process_iter():
        try:
            yield process.pid, process.environ()
        except (psutil.Error, OSError):
            continue


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


class ArgumentRecorder:
    """Looks at the arguments of all processes again and again, as a curious user would.

    It sees what lives for some milliseconds: start, act several times, stop, then look for the secret.
    In each round it looks at the processes that are new, and at all of them now and then.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[str, ...]] = set()
        self.rounds = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop looking. Stopping twice is harmless."""
        self._stopping.set()
        self._thread.join()

    def showing(self, secret: str) -> list[tuple[str, ...]]:
        """The recorded arguments in which the secret is to be seen."""
        return [argv for argv in self.seen if any(secret in word for word in argv)]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self) -> None:
        first_seen: dict[int, float] = {}
        all_seen = -math.inf
        while not self._stopping.is_set():
            now = time.monotonic()
            born = now if first_seen else -math.inf
            first_seen = {pid: first_seen.get(pid, born) for pid in process_ids()}
            if now - all_seen > ALL_AGAIN:
                all_seen, young_since = now, -math.inf
            else:
                young_since = now - YOUNG
            self.seen.update(command_line(pid) for pid, since in first_seen.items() if since >= young_since)
            self.rounds += 1
            time.sleep(PAUSE)


def _listener(written: str) -> Listener:
    """A local address as in /proc/net/tcp: each word of the address has its bytes in the machine's order."""
    address, port = written.split(":")
    words = [bytes.fromhex(address[at : at + WORD])[::-1] for at in range(0, len(address), WORD)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return Listener(socket.inet_ntop(family, b"".join(words)), int(port, 16))
