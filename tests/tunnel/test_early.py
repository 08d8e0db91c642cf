"""Connections that are opened before a client's first request is admitted: few, short, and not a byte before it."""

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ocattach.opencode.endpoint import basic_authorization
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.early import MOST_EARLY
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.route import Route
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel import servers

LINK = basic_authorization("opencode", "link")
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Daemon:
    """Answers requests without a body, and records what each connection has received."""

    def __init__(self) -> None:
        self.received: list[bytearray] = []
        self.open = 0
        self.greetings: list[bytes | None] = []
        """What is sent on the next connections before a request; None: the connection is ended instead."""

    def __call__(self, connection: socket.socket) -> None:
        received = bytearray()
        self.received.append(received)
        self.open += 1
        try:
            if self.greetings:
                greeting = self.greetings.pop()
                if greeting is None:
                    return
                connection.sendall(greeting)
            while data := connection.recv(65536):
                received += data
                if data.endswith(b"\r\n\r\n"):
                    connection.sendall(RESPONSE)
        finally:
            self.open -= 1


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def port(daemon: Daemon) -> Iterator[int]:
    with servers.server(daemon) as port:
        yield port


@pytest.fixture
def tunnel(make_route: Callable[[], Route], port: int, opened: ExitStack) -> Tunnel:
    return opened.enter_context(Tunnel(make_route(), port, gate=Gate(LINK)))


def status(client: socket.socket, tunnel: Tunnel, authorization: str = LINK) -> int:
    """Make a request over a client's connection."""
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{tunnel.port}\r\nAuthorization: {authorization}\r\n\r\n"
    client.sendall(head.encode())
    response = http.client.HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


Connect = Callable[[Tunnel], socket.socket]


def test_a_request_uses_the_connection_that_was_opened_before_it(
    daemon: Daemon, tunnel: Tunnel, connect: Connect
) -> None:
    client = connect(tunnel)
    wait_until(lambda: daemon.open == 1, "the early connection")

    assert status(client, tunnel) == 200
    assert len(daemon.received) == 1


def test_clients_that_send_nothing_leave_nothing_at_the_daemon_beyond_the_bound(
    daemon: Daemon, tunnel: Tunnel, connect: Connect
) -> None:
    silent = [connect(tunnel) for _ in range(4 * MOST_EARLY)]
    wait_until(lambda: len(daemon.received) == MOST_EARLY, "the early connections")
    wait_until(lambda: daemon.open == 0, "the early connections to be closed, each client still there")
    silent += [connect(tunnel) for _ in range(MOST_EARLY)]

    assert status(connect(tunnel), tunnel) == 200
    assert [bytes(received) for received in daemon.received[:-1]] == [b""] * MOST_EARLY


def test_a_refused_client_has_its_connection_closed_without_a_byte(
    daemon: Daemon, tunnel: Tunnel, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocattach.tunnel.early.IDLE_SECONDS", 600)
    refused = [connect(tunnel) for _ in range(2 * MOST_EARLY)]
    wait_until(lambda: daemon.open == MOST_EARLY, "the early connections")

    assert {status(client, tunnel, authorization="Basic bm9ib2R5") for client in refused} == {401}
    wait_until(lambda: daemon.open == 0, "the early connections to be closed")
    assert not any(daemon.received)
    assert len(daemon.received) == MOST_EARLY


def test_each_admitted_request_allows_one_more(daemon: Daemon, tunnel: Tunnel, connect: Connect) -> None:
    for _ in range(MOST_EARLY):
        connect(tunnel)
    wait_until(lambda: len(daemon.received) == MOST_EARLY, "the early connections")
    assert status(connect(tunnel), tunnel) == 200

    connect(tunnel)

    wait_until(lambda: len(daemon.received) == MOST_EARLY + 2, "the early connection of the last client")


@pytest.mark.parametrize("greeting", [None, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_a_connection_that_the_far_end_does_not_keep_is_not_used(
    daemon: Daemon,
    tunnel: Tunnel,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    greeting: bytes | None,
) -> None:
    monkeypatch.setattr("ocattach.tunnel.early.IDLE_SECONDS", 600)
    daemon.greetings = [greeting]
    client = connect(tunnel)
    wait_until(lambda: daemon.received and daemon.open == 0, "the early connection to be closed")

    assert status(client, tunnel) == 200
    assert not daemon.received[0]


def test_a_request_after_the_early_connection_was_closed_gets_another(
    daemon: Daemon, tunnel: Tunnel, connect: Connect
) -> None:
    client = connect(tunnel)
    wait_until(lambda: daemon.received and daemon.open == 0, "the early connection to be closed")

    assert status(client, tunnel) == 200


def test_a_connection_of_a_former_route_is_not_used(
    daemon: Daemon,
    tunnel: Tunnel,
    connect: Connect,
    make_route: Callable[[], Route],
    opened: ExitStack,
) -> None:
    client = connect(tunnel)
    wait_until(lambda: daemon.open == 1, "the early connection")
    second = Daemon()
    tunnel.switch_route(make_route(), opened.enter_context(servers.server(second)))

    assert status(client, tunnel) == 200
    assert not daemon.received[0]
    assert second.received


def test_while_clients_are_held_nothing_is_opened(daemon: Daemon, tunnel: Tunnel, connect: Connect) -> None:
    client = connect(tunnel)
    wait_until(lambda: daemon.open == 1, "the early connection")
    tunnel.hold()
    other = connect(tunnel)
    client.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{tunnel.port}\r\nAuthorization: {LINK}\r\n\r\n".encode()
    )
    wait_until(lambda: tunnel.held == 1, "the request to be held")
    assert len(daemon.received) == 1
    assert not daemon.received[0]

    tunnel.release()

    assert client.recv(65536) == RESPONSE
    assert status(other, tunnel) == 200


class OddRoute(DirectRoute):
    """A route whose first dial raises what no code expects."""

    dialled = False

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:
        if not self.dialled:
            self.dialled = True
            raise RuntimeError("odd")
        await super().dial(client, host, port)


def test_a_request_is_answered_whatever_the_early_dial_raises(
    port: int, connect: Connect, opened: ExitStack
) -> None:
    tunnel = opened.enter_context(Tunnel(OddRoute("127.0.0.1"), port, gate=Gate(LINK)))

    assert status(connect(tunnel), tunnel) == 200
