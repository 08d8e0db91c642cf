"""What anybody on this machine can see of processes: their arguments, and where they listen.

All of it is read from outside, so that it holds for containers and for the machines behind sshd as well.
"""

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from tests.rigs.namespaces import Network

PROC = Path("/proc")
LISTEN = "0A"  # as /proc/net/tcp has it
WORD = 8  # hexadecimal digits of one 32 bit word
PAUSE = 0.002


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
    for entry in os.listdir(PROC):  # noqa: PTH208  it is called hundreds of times a second
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:  # noqa: PTH123  as above
                raw = file.read()
        except OSError:
            continue
        if raw:
            yield int(entry), tuple(raw.decode(errors="replace").rstrip("\0").split("\0"))


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
        while not self._stopping.is_set():
            self.seen.update(argv for _, argv in command_lines())
            self.rounds += 1
            time.sleep(PAUSE)


def _listener(written: str) -> Listener:
    """A local address as in /proc/net/tcp: each word of the address has its bytes in the machine's order."""
    address, port = written.split(":")
    words = [bytes.fromhex(address[at : at + WORD])[::-1] for at in range(0, len(address), WORD)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return Listener(socket.inet_ntop(family, b"".join(words)), int(port, 16))
