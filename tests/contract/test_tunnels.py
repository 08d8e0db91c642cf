"""Promises about the tunnel into an environment."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocattach.errors import UnreachableError
from ocattach.transports.command import CommandTransport
from ocattach.tunnel.tunnel import Tunnel
from tests.contract.servers import Behaviour, answer_at_the_end, echo, send_and_receive, serve
from tests.environments import Environment
from tests.rigs.waiting import wait_until

MEGABYTE = 1024 * 1024
SECONDS = 30


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: no tunnel leaves anything there."""
    return shared_environment


@contextmanager
def tunnel_to(environment: Environment, behaviour: Behaviour) -> Iterator[tuple[CommandTransport, Tunnel]]:
    """A tunnel to a server in the environment."""
    with (
        serve(environment.network, behaviour, home=environment.home) as port,
        environment.handler() as handler,
        handler.connect(port) as tunnel,
    ):
        yield handler, tunnel


def dial(tunnel: Tunnel) -> socket.socket:
    return socket.create_connection(("127.0.0.1", tunnel.port), SECONDS)


def test_a_megabyte_goes_there_and_back_unchanged(environment: Environment) -> None:
    data = os.urandom(MEGABYTE)
    with tunnel_to(environment, echo) as (_, tunnel):
        assert data == send_and_receive(tunnel.port, data)


def test_a_server_that_answers_after_the_end_of_input_is_heard(environment: Environment) -> None:
    with tunnel_to(environment, answer_at_the_end) as (_, tunnel):
        assert str(MEGABYTE).encode() == send_and_receive(tunnel.port, bytes(MEGABYTE))


def test_twenty_clients_at_once_are_served(environment: Environment) -> None:
    payloads = [os.urandom(64 * 1024) for _ in range(20)]
    with tunnel_to(environment, echo) as (_, tunnel), ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda data: send_and_receive(tunnel.port, data), payloads))

    assert [len(data) for data in payloads] == [len(data) for data in answers]
    assert payloads == answers


def test_a_client_is_reset_where_nothing_listens(environment: Environment) -> None:
    with serve(environment.network, echo, home=environment.home) as port:
        pass
    # ssh finds out when it connects; a relay, when the first client comes.
    with (
        environment.handler() as handler,
        pytest.raises((UnreachableError, ConnectionResetError), match=r"Nothing listens|reset"),
        dial(handler.connect(port)) as connection,
    ):
        connection.recv(1)


def test_the_local_port_is_on_loopback_and_free_again_afterwards(environment: Environment) -> None:
    with tunnel_to(environment, echo) as (_, tunnel):
        port = tunnel.port
        assert tunnel.url == f"http://127.0.0.1:{port}"

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_disconnecting_leaves_no_thread_and_no_descriptor(environment: Environment) -> None:
    environment.handler().disconnect()  # whatever is only imported once
    with serve(environment.network, echo, home=environment.home) as port:
        before = descriptors(), threading.active_count()
        handler = environment.handler()
        tunnel = handler.connect(port)
        assert send_and_receive(tunnel.port, b"x" * 100) == b"x" * 100
        handler.disconnect()

        wait_until(lambda: threading.active_count() <= before[1] + 1, "the threads to end")
        wait_until(lambda: before[0] >= descriptors() - {"/dev/null"}, "the descriptors to be closed")


def descriptors() -> set[str]:
    """What this process has open, by what it is."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            found.add(str(Path(entry.path).readlink()))
        except FileNotFoundError:
            continue
    return found


def test_nothing_is_left_in_the_environment_after_disconnecting(environment: Environment) -> None:
    with tunnel_to(environment, echo) as (handler, tunnel):
        assert send_and_receive(tunnel.port, b"hello") == b"hello"
        handler.disconnect()

        environment.wait_until_nothing_runs()
