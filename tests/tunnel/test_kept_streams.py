"""Streams of events that go on over another route, and everything else, which does not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ocattach.tunnel import listener, resumable
from ocattach.tunnel.event_stream import chunk
from ocattach.tunnel.route import Route
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel import servers
from tests.tunnel.clients import Connect
from tests.tunnel.test_event_stream import HEAD, REQUEST

OTHER_REQUEST = b"GET /download HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIVE = chunk(b"data: live\n\n")
MISSED = b"data: missed\n\n"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Recorder:
    """A resumer that keeps what `REQUEST` asks for, and tells of one event that was missed."""

    def __init__(self) -> None:
        self.noted: list[bytes] = []
        self.replayed: list[tuple[bytes, float]] = []
        self.may_replay = threading.Event()
        self.may_replay.set()

    def handles(self, request: bytes) -> bool:
        return request == REQUEST

    def learn(self, request: bytes) -> None:
        raise AssertionError(request)  # without a gate, nothing is

    def observe(self, events: bytes) -> None:
        self.noted.append(events)

    def replay(self, request: bytes, silent: float) -> list[bytes]:
        self.replayed.append((request, silent))
        assert self.may_replay.wait(30)
        return [MISSED]

    def greet(self, request: bytes) -> Iterator[bytes]:
        assert request
        return iter(())

    def message_event(self, request: bytes, message: str) -> bytes:
        assert request == REQUEST
        return f"data: {message}\n\n".encode()


class EventServer:
    """Answers every request alike: the first time it is connected to with `first`, then with `later`."""

    def __init__(self) -> None:
        self.first = HEAD + LIVE
        self.later = HEAD + LIVE
        self.requests: list[bytes] = []
        self.connections: list[socket.socket] = []

    def handle(self, connection: socket.socket) -> None:
        request = connection.recv(65536)
        self.requests.append(request)
        self.connections.append(connection)
        connection.sendall(self.first if len(self.requests) == 1 else self.later)
        while connection.recv(65536):
            pass


@pytest.fixture
def event_server() -> Iterator[tuple[EventServer, int]]:
    server = EventServer()
    with servers.server(server.handle) as port:
        yield server, port


@pytest.fixture
def resumer() -> Recorder:
    return Recorder()


def test_a_kept_stream_goes_on_over_the_next_route_with_what_it_missed_told_first(
    make_route: Callable[[], Route],
    event_server: tuple[EventServer, int],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    assert servers.receive(client, len(HEAD + LIVE)) == HEAD + LIVE

    for _ in range(3):
        tunnel.give_up("It was cut.")
        tunnel.switch_route(make_route(), port)

        assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE

    server.connections[-1].sendall(LIVE)
    assert servers.receive(client, len(LIVE)) == LIVE
    assert server.requests == [REQUEST] * 4
    assert [request for request, _ in resumer.replayed] == [REQUEST] * 3
    assert resumer.noted[0] == b"data: live\n\n"


@pytest.fixture(autouse=True)
def settled_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams count as complete only after the test."""
    monkeypatch.setattr(resumable, "SETTLED_SECONDS", 600)


@pytest.fixture
def settled_soon(settled_late: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - the later one counts
    """They do so after half a second."""
    monkeypatch.setattr(resumable, "SETTLED_SECONDS", 0.5)


@pytest.mark.usefixtures("settled_soon")
def test_what_the_new_stream_lacks_is_read_once_it_is_complete_and_newer_events_come_after_it(
    make_route: Callable[[], Route],
    event_server: tuple[EventServer, int],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))
    tunnel.give_up("It was cut.")
    tunnel.switch_route(make_route(), port)
    assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE

    resumer.may_replay.clear()
    wait_until(lambda: len(resumer.replayed) == 2, "the second look")
    server.connections[-1].sendall(LIVE)
    resumer.may_replay.set()

    assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE
    assert resumer.replayed[1][1] >= resumer.replayed[0][1] + 0.5, "since the loss"


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are told of a loss soon."""
    monkeypatch.setattr(listener, "NOTICE_SECONDS", 0.1)


@pytest.mark.usefixtures("impatience")
def test_who_holds_a_kept_stream_is_told_when_it_takes_long_and_when_it_is_over(
    make_route: Callable[[], Route],
    event_server: tuple[EventServer, int],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    _, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))

    tunnel.give_up("It was cut.")
    lost = chunk(b"data: The connection was lost; what you send waits until it is back. It was cut.\n\n")
    assert servers.receive(client, len(lost)) == lost
    tunnel.refuse("A person is needed")
    needed = chunk(b"data: A person is needed\n\n")
    assert servers.receive(client, len(needed)) == needed
    tunnel.switch_route(make_route(), port)

    back = chunk(b"data: The connection is back\n\n" + MISSED) + LIVE
    assert servers.receive(client, len(back)) == back


def test_events_that_come_while_the_missed_ones_are_gathered_come_after_them(
    make_route: Callable[[], Route],
    event_server: tuple[EventServer, int],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))
    resumer.may_replay.clear()
    tunnel.give_up("It was cut.")
    tunnel.switch_route(make_route(), port)
    wait_until(lambda: resumer.replayed, "the missed events to be asked for")
    server.connections[-1].sendall(LIVE)

    resumer.may_replay.set()

    assert servers.receive(client, len(chunk(MISSED) + LIVE + LIVE)) == chunk(MISSED) + LIVE + LIVE


def test_a_server_that_ends_in_the_middle_of_a_stream_is_asked_again(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))

    server.connections[0].sendall(b"40\r\ndata: half of an ev")
    server.connections[0].shutdown(socket.SHUT_RDWR)

    assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE


def test_a_stream_waits_until_the_server_has_one_for_it_again(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))
    server.later = REFUSAL
    tunnel.give_up("It was cut.")
    tunnel.switch_route(make_route(), port)
    wait_until(lambda: len(server.requests) > 2, "a second attempt")

    server.later = HEAD + LIVE

    assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE


def test_a_stream_that_was_asked_for_and_not_answered_is_asked_for_again(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    server.first = b""
    server.later = REFUSAL
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    wait_until(lambda: server.requests, "the request to arrive")

    tunnel.give_up("It was cut.")
    tunnel.switch_route(make_route(), port)

    assert servers.receive(client, len(REFUSAL)) == REFUSAL
    assert not resumer.replayed


def test_a_client_that_goes_away_while_its_stream_is_interrupted_is_forgotten(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    _, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))
    tunnel.give_up("It was cut.")
    wait_until(lambda: tunnel.held, "the client to wait")
    assert tunnel.active_connections == 1

    client.close()

    wait_until(lambda: not tunnel.active_connections, "the client to be forgotten")
    wait_until(lambda: not tunnel.held, "nobody to be held")


def test_a_client_that_resets_its_stream_is_forgotten(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))

    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, servers.RESET_ON_CLOSE)
    client.close()

    wait_until(lambda: not tunnel.active_connections, "the client to be forgotten")
    connect(tunnel).sendall(OTHER_REQUEST)
    wait_until(lambda: OTHER_REQUEST in server.requests, "a later request to arrive")
    assert server.requests == [REQUEST, OTHER_REQUEST]


def test_a_connection_that_is_lost_while_missed_events_are_gathered_is_followed_by_another(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    _, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))
    resumer.may_replay.clear()
    tunnel.give_up("It was cut.")
    tunnel.switch_route(make_route(), port)
    wait_until(lambda: resumer.replayed, "the missed events to be asked for")

    tunnel.give_up("It was cut again.")
    tunnel.switch_route(make_route(), port)
    resumer.may_replay.set()

    assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE
    assert [request for request, _ in resumer.replayed] == [REQUEST] * 2
    assert resumer.replayed[1][1] >= resumer.replayed[0][1], "it has heard nothing since the first loss"


def test_a_tunnel_closes_while_streams_are_interrupted(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    _, port = event_server
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(REQUEST)
    servers.receive(client, len(HEAD + LIVE))
    tunnel.give_up("It was cut.")
    wait_until(lambda: tunnel.held, "the client to wait")

    tunnel.close()

    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_other_answers_are_reset_as_ever_and_pass_unchanged(
    event_server: tuple[EventServer, int],
    make_route: Callable[[], Route],
    resumer: Recorder,
    opened: ExitStack,
    connect: Connect,
) -> None:
    server, port = event_server
    server.first = HEAD + b"3;x=y\r\nda\n\r\n"
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    client.sendall(OTHER_REQUEST)
    assert servers.receive(client, len(server.first)) == server.first

    tunnel.give_up("It was cut.")

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert not resumer.noted


def test_a_stream_can_be_asked_for_on_a_connection_that_has_carried_other_requests(
    make_route: Callable[[], Route], resumer: Recorder, opened: ExitStack, connect: Connect
) -> None:
    answers = {OTHER_REQUEST: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", REQUEST: HEAD + LIVE}

    def answer_all(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            connection.sendall(answers[request])

    port = opened.enter_context(servers.server(answer_all))
    tunnel = opened.enter_context(Tunnel(make_route(), port, resumer=resumer))
    client = connect(tunnel)
    for request in (OTHER_REQUEST, REQUEST):
        client.sendall(request)
        assert servers.receive(client, len(answers[request])) == answers[request]

    tunnel.give_up("It was cut.")
    tunnel.switch_route(make_route(), port)

    assert servers.receive(client, len(chunk(MISSED) + LIVE)) == chunk(MISSED) + LIVE
