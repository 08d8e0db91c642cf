"""Promises about many connections through one tunnel."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import psutil
import pytest

from ocattach.tunnel.frames import INITIAL_CREDIT
from tests.contract.servers import echo, send_and_receive, serve
from tests.environments import Environment

MEGABYTE = 1024 * 1024
CONNECTIONS = 200
SIZE = 2 * INITIAL_CREDIT
"""What goes through each connection: more than the relay may send before the other end has read."""

MEMORY_LIMIT = 100 * MEGABYTE

SECONDS = 60


@contextmanager
def tunnel_process(environment: Environment, port: int) -> Iterator[tuple[int, psutil.Process]]:
    """A process with a tunnel to a port of the environment: its local port, and the process."""
    entry, answers = json.dumps(environment.spec().to_entry()), json.dumps(dict(environment.answers))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.contract.tunnel_process", entry, str(port), answers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdin
        yield int(process.stdout.readline()), psutil.Process(process.pid)
        process.stdin.close()
        process.wait(SECONDS)


def exchange(port: int, number: int) -> bool:
    """Whether data of its own comes back through a connection of its own as it was."""
    data = hashlib.shake_256(number.to_bytes(2)).digest(SIZE)
    return send_and_receive(port, data) == data


@contextmanager
def flood_never_read(port: int) -> Iterator[None]:
    """A client that sends without end what comes back to it, and reads none of it."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        stopping = threading.Event()

        def flood() -> None:
            connection.settimeout(0.1)
            while not stopping.is_set():
                try:
                    connection.send(os.urandom(65536))
                except TimeoutError:
                    continue

        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            yield
        finally:
            stopping.set()
            flooding.join()


@pytest.mark.one_of_each(also=["ssh-paramiko"], without=["podman", "local", "netns"])
def test_two_hundred_connections_at_once_beside_one_that_is_never_read(environment: Environment) -> None:
    with (
        serve(environment.network, echo, home=environment.home) as server,
        tunnel_process(environment, server) as (port, process),
    ):
        most = process.memory_info().rss
        with flood_never_read(port), ThreadPoolExecutor(CONNECTIONS) as pool:
            exchanges = [pool.submit(exchange, port, number) for number in range(CONNECTIONS)]
            while wait(exchanges, timeout=0.02).not_done:
                most = max(most, process.memory_info().rss)

        assert all(done.result() for done in exchanges)
        assert most < MEMORY_LIMIT
