"""What a tunnel costs when its peers misbehave: measured on a process that holds nothing else."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

from tests.rigs.waiting import wait_until
from tests.tunnel import servers

CHECKOUT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
MEMORY_LIMIT = 100 * MIB
FLOOD = """\
import os, socket, threading
def flood(connection):
    while True:
        os.write(1, b"%d\\n" % connection.send(bytes(1 << 20)))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=flood, args=(listener.accept()[0],), daemon=True).start()
"""
"""A server that writes as fast as anybody reads, which takes a process of its own."""


class Holder:
    """A tunnel in a process of its own."""

    def __init__(self, relay: list[str], port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.tunnel.holder", str(port), *relay],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
        )
        assert self.process.stdout is not None
        self.port, relay_pid = map(int, self.process.stdout.readline().split())
        self.relay = psutil.Process(relay_pid)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def memory(self) -> list[int]:
        """The resident bytes of the near end and of the relay."""
        return [psutil.Process(self.process.pid).memory_info().rss, self.relay.memory_info().rss]


@contextmanager
def holder(relay: list[str], port: int) -> Iterator[Holder]:
    held = Holder(relay, port)
    try:
        yield held
    finally:
        held.process.communicate()


def settled(measure: Callable[[], float]) -> None:
    """Wait until a quantity grows no more for half a second."""
    seen = [measure()]

    def is_steady() -> bool:
        seen.append(measure())
        return len(seen) > 10 and seen[-1] == seen[-10]

    wait_until(is_steady, "the transfer to come to rest", timeout=30, interval=0.05)


def test_readers_that_never_read_stall_nobody_and_cost_no_memory(relay: list[str]) -> None:
    sent = [0]

    def flood_or_echo(connection: socket.socket) -> None:
        if connection.recv(1) == b"f":
            while True:
                sent[0] += connection.send(bytes(65536))
        servers.echo(connection)

    with servers.server(flood_or_echo) as port, holder(relay, port) as held:
        stuck = [held.connect() for _ in range(5)]
        for client in stuck:
            client.sendall(b"f")
        settled(lambda: sent[0])

        with held.connect() as lively:
            lively.sendall(b"e")
            for _ in range(100):
                lively.sendall(bytes(65536))
                servers.receive(lively, 65536)
        memory = held.memory()
        for client in stuck:
            client.close()

    assert max(memory) < MEMORY_LIMIT


def test_a_server_that_writes_without_a_pause_to_readers_that_never_read_costs_no_memory(
    relay: list[str],
) -> None:
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        lines = server.stdout
        port = int(lines.readline())
        with holder(relay, port) as held:
            stuck = [held.connect() for _ in range(3)]
            sent = [int(lines.readline())]
            counting = threading.Thread(target=count, args=(lines, sent), daemon=True)
            counting.start()
            settled(lambda: sent[0])
            memory = held.memory()
            for client in stuck:
                client.close()
            server.kill()
            counting.join()

    assert max(memory) < MEMORY_LIMIT


def count(lines: IO[bytes], sent: list[int]) -> None:
    """Add up what the server says it wrote."""
    for line in lines:
        sent[0] += int(line)


def test_servers_that_never_read_stall_nobody_and_cost_no_memory(relay: list[str]) -> None:
    released = threading.Event()

    def ignore_or_echo(connection: socket.socket) -> None:
        if connection.recv(1) == b"i":
            released.wait(timeout=60)
        else:
            servers.echo(connection)

    with servers.server(ignore_or_echo) as port, holder(relay, port) as held:
        stuck = [held.connect() for _ in range(5)]
        for client in stuck:
            client.sendall(b"i")
            client.setblocking(False)
            wait_until(lambda client=client: not takes_more(client), "nothing more to be taken", interval=0.1)  # type: ignore[misc]

        with held.connect() as lively:
            lively.sendall(b"e")
            for _ in range(100):
                lively.sendall(bytes(65536))
                servers.receive(lively, 65536)
        memory = held.memory()
        for client in stuck:
            client.close()
        released.set()

    assert max(memory) < MEMORY_LIMIT


def takes_more(client: socket.socket) -> bool:
    try:
        return client.send(bytes(MIB)) > 0
    except BlockingIOError:
        return False


def test_the_relay_ends_when_its_tunnel_is_killed(relay: list[str]) -> None:
    with servers.server(servers.echo) as port, holder(relay, port) as held:
        held.process.kill()

        held.relay.wait(timeout=60)
