"""How tunnels are lost, hold their clients and go on with another route."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import psutil
import pytest

from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.limits import Events, Limits
from ocattach.tunnel.route import DialRoute, RelayRoute, Route
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel import servers
from tests.tunnel.clients import Connect, assert_echoes
from tests.tunnel.relays import ProcessStream, python_relay
from tests.tunnel.routes import SocketStream, relay_route, shell_stream

REQUEST = b"POST /session/ses_1/prompt_async HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"


def test_a_lost_relay_resets_its_clients_and_says_why(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    told: list[str] = []
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, events=Events(on_lost=told.append)))
    client = connect(tunnel)
    assert_echoes(client)

    stream.process.kill()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert wait_until(lambda: tunnel.lost, "the loss to be noticed").startswith("The relay")
    assert wait_until(lambda: told, "the callback to be called") == [tunnel.lost]


def test_a_silent_relay_is_lost_within_the_deadline(
    relay: list[str], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(relay)
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, limits=Limits(dead_after=1)))
    client = connect(tunnel)
    assert_echoes(client)
    time.sleep(1.5)  # more than both deadlines, during which it answers
    lost_before = tunnel.lost

    stream.process.send_signal(signal.SIGSTOP)

    assert wait_until(lambda: tunnel.lost, "the silence to be noticed", timeout=3).startswith(
        "The relay did not answer for 0.5 s"
    )
    assert lost_before is None
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_check_finds_a_silent_relay_before_the_next_ping(echo_port: int, opened: ExitStack) -> None:
    stream = ProcessStream(python_relay())
    limits = Limits(dead_after=600)
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, limits=limits))
    wait_until(lambda: tunnel.round_trip, "the first answer to a ping")
    stream.process.send_signal(signal.SIGSTOP)

    tunnel.check()

    wait_until(lambda: tunnel.lost, "the silence to be noticed")


def test_clients_of_a_lost_route_are_held_and_served_by_the_next(
    make_route: Callable[[], Route], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), servers.free_port()))
    port = tunnel.port
    stream.process.kill()
    wait_until(lambda: tunnel.lost, "the loss to be noticed")
    held = [connect(tunnel) for _ in range(20)]
    for client in held:
        client.sendall(b"typed meanwhile")

    tunnel.switch_route(make_route(), echo_port)

    for client in held:
        assert servers.receive(client, 15) == b"typed meanwhile"
    assert (tunnel.port, tunnel.remote_port, tunnel.lost) == (port, echo_port, None)


def test_a_client_that_came_before_the_loss_was_noticed_is_served_by_the_next_route(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, limits=Limits(dead_after=1)))
    stream.process.send_signal(signal.SIGSTOP)
    client = connect(tunnel)
    client.sendall(b"typed meanwhile")
    wait_until(lambda: tunnel.lost, "the silence to be noticed")

    tunnel.switch_route(relay_route(), echo_port)

    assert servers.receive(client, 15) == b"typed meanwhile"


def test_another_route_resets_the_clients_of_the_former(
    make_route: Callable[[], Route], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(make_route(), echo_port))
    former = connect(tunnel)
    assert_echoes(former)

    tunnel.switch_route(make_route(), echo_port)

    with pytest.raises(ConnectionResetError):
        former.recv(1)
    assert_echoes(connect(tunnel))
    assert tunnel.lost is None


def test_another_route_that_does_not_start_changes_nothing(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(relay_route(), echo_port))
    client = connect(tunnel)
    assert_echoes(client)
    failing = shell_stream("exit 3")

    with pytest.raises(ConnectionLostError):
        tunnel.switch_route(RelayRoute(failing), 1)

    assert failing.process.returncode == 3
    assert_echoes(client)


def test_close_ends_a_switch_that_is_under_way(echo_port: int) -> None:
    tunnel = Tunnel(relay_route(), echo_port)
    slow = shell_stream("sleep 60")
    errors: list[Exception] = []

    def switch() -> None:
        try:
            tunnel.switch_route(RelayRoute(slow), echo_port, timeout=60)
        except ConnectionLostError as error:
            errors.append(error)

    switching = threading.Thread(target=switch)
    switching.start()
    wait_until(lambda: tunnel._listener.router._switches, "the switch to begin")
    tunnel.close()
    switching.join(timeout=60)

    assert [str(error) for error in errors] == ["The tunnel was closed while it switched routes."]
    assert slow.process.poll() is not None


def test_a_closed_tunnel_refuses_a_route_and_closes_it(echo_port: int) -> None:
    tunnel = Tunnel(relay_route(), echo_port)
    tunnel.close()
    stream = ProcessStream(python_relay())

    with pytest.raises(ConnectionLostError, match="closed"):
        tunnel.switch_route(RelayRoute(stream), echo_port)

    assert stream.process.poll() is not None


def test_held_clients_are_bounded_in_number_and_time_and_told_so(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    limits = Limits(held_clients=3, held_seconds=1)
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, limits=limits))
    stream.process.kill()
    wait_until(lambda: tunnel.lost, "the loss to be noticed")

    held = [connect(tunnel) for _ in range(3)]
    wait_until(lambda: tunnel.held == 3, "the clients to be held")
    for client in (connect(tunnel), *held):
        client.sendall(REQUEST)
        answer = servers.receive_all(client)
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"Not sent: " in answer


def test_a_client_that_speaks_no_http_is_reset_instead(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    limits = Limits(held_seconds=0.1)
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, limits=limits))
    stream.process.kill()
    wait_until(lambda: tunnel.lost, "the loss to be noticed")
    client = connect(tunnel)
    client.sendall(b"\x16\x03\x01")

    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_request_that_was_under_way_is_answered_by_an_error_that_says_so(
    opened: ExitStack, connect: Connect
) -> None:
    heard = threading.Event()

    def listen(connection: socket.socket) -> None:
        connection.recv(1000)
        heard.set()
        connection.recv(1)

    port = opened.enter_context(servers.server(listen))
    stream = ProcessStream(python_relay())
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), port))
    client = connect(tunnel)
    client.sendall(REQUEST)
    assert heard.wait(10)

    stream.process.kill()

    answer = servers.receive_all(client)
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"may have received" in answer


def test_a_server_that_hangs_up_without_an_answer_is_told_as_an_error(
    make_route: Callable[[], Route], opened: ExitStack, connect: Connect
) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(1000)

    port = opened.enter_context(servers.server(hang_up))
    client = connect(opened.enter_context(Tunnel(make_route(), port)))

    client.sendall(REQUEST)

    assert servers.receive_all(client).startswith(b"HTTP/1.1 502 ")


def test_what_is_lost_in_the_middle_of_an_answer_is_reset(opened: ExitStack, connect: Connect) -> None:
    def begin(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        connection.recv(1)

    port = opened.enter_context(servers.server(begin))
    stream = ProcessStream(python_relay())
    client = connect(opened.enter_context(Tunnel(RelayRoute(stream), port)))
    client.sendall(REQUEST)
    assert servers.receive(client, 17)

    stream.process.kill()

    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_a_server_that_is_gone_loses_the_route_and_its_clients_wait_for_the_next(
    make_route: Callable[[], Route], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    told: list[str] = []
    with ExitStack() as first:
        port = first.enter_context(servers.server(servers.echo))
        tunnel = opened.enter_context(Tunnel(make_route(), port, events=Events(on_lost=told.append)))
        assert_echoes(connect(tunnel))
    client = connect(tunnel)
    client.sendall(b"typed meanwhile")
    wait_until(lambda: told, "the loss to be noticed")

    tunnel.switch_route(make_route(), echo_port)

    assert servers.receive(client, 15) == b"typed meanwhile"
    assert tunnel.released == 1


def test_a_tunnel_that_refuses_says_why_at_once_until_there_is_a_route(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel())
    waiting = connect(tunnel)
    waiting.sendall(REQUEST)
    wait_until(lambda: tunnel.held == 1, "the client to be held")
    tunnel.refuse("A person is needed")

    answers = [servers.receive_all(waiting)]
    with connect(tunnel) as late:
        late.sendall(REQUEST)
        answers.append(servers.receive_all(late))
    tunnel.switch_route(relay_route(), echo_port)

    assert all(b" 503 " in answer and b"A person is needed" in answer for answer in answers)
    assert_echoes(connect(tunnel))


def test_what_is_not_ready_is_reached_by_us_alone_until_the_others_are_released(
    make_route: Callable[[], Route], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(make_route(), echo_port))
    tunnel.hold()
    client = connect(tunnel)
    client.sendall(b"waits")
    wait_until(lambda: tunnel.held, "the client to be held")

    with tunnel.connect() as ours:
        assert_echoes(ours)
    tunnel.switch_route(make_route(), echo_port)
    with tunnel.connect() as ours:
        assert_echoes(ours)
    assert tunnel.held == 1
    tunnel.release()

    assert servers.receive(client, len(b"waits")) == b"waits"
    assert tunnel.released == 1


def test_we_are_refused_where_others_are_held(opened: ExitStack, echo_port: int) -> None:
    tunnel = opened.enter_context(Tunnel(DirectRoute("127.0.0.1"), echo_port))
    tunnel.give_up("It was cut.")
    with tunnel.connect() as ours:
        ours.sendall(REQUEST)
        answer = servers.receive_all(ours)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Not sent: It was cut." in answer
    tunnel.close()
    with pytest.raises(ConnectionRefusedError):
        tunnel.connect()


def test_an_ssh_way_that_does_not_answer_is_lost(echo_port: int, opened: ExitStack) -> None:
    answers = threading.Event()
    answers.set()
    asked = threading.Semaphore(0)

    def ping() -> None:
        asked.release()
        answers.wait(30)

    route = DialRoute("port-forward", SocketStream, ping=ping)
    tunnel = opened.enter_context(Tunnel(route, echo_port, limits=Limits(dead_after=0.4)))
    for _ in range(3):
        assert asked.acquire(timeout=60)
    lost_before = tunnel.lost
    answers.clear()

    reason = wait_until(lambda: tunnel.lost, "the silence to be noticed")
    answers.set()

    assert lost_before is None
    assert reason == "The far end did not answer for 0.2 s"


def test_an_ssh_way_whose_answer_is_behind_what_its_streams_bring_is_not_lost(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    asked, answers = threading.Event(), threading.Event()

    def ping() -> None:
        asked.set()
        answers.wait(30)

    route = DialRoute("port-forward", SocketStream, ping=ping)
    tunnel = opened.enter_context(Tunnel(route, echo_port, limits=Limits(dead_after=1)))
    client = connect(tunnel)
    assert asked.wait(10)
    silence = time.monotonic() + 3
    while time.monotonic() < silence:
        assert_echoes(client)

    assert tunnel.lost is None
    reason = wait_until(lambda: tunnel.lost, "the silence to be noticed")
    answers.set()
    assert reason == "The far end did not answer for 0.5 s"


def test_a_dial_that_finds_the_way_gone_loses_the_route(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    def dial(_port: int) -> Stream:
        raise ConnectionLostError("The SSH connection is gone.")

    tunnel = opened.enter_context(Tunnel(DialRoute("port-forward", dial), echo_port))
    client = connect(tunnel)
    client.sendall(b"typed meanwhile")
    reason = wait_until(lambda: tunnel.lost, "the loss to be noticed")

    tunnel.switch_route(DialRoute("port-forward", SocketStream), echo_port)

    assert reason == "The SSH connection is gone."
    assert servers.receive(client, 15) == b"typed meanwhile"


def test_close_does_not_wait_for_a_dial_into_the_void(echo_port: int, connect: Connect) -> None:
    released = threading.Event()
    dialled: list[SocketStream] = []

    def dial(port: int) -> Stream:
        released.wait(timeout=30)
        dialled.append(SocketStream(port))
        return dialled[-1]

    tunnel = Tunnel(DialRoute("port-forward", dial), echo_port)
    client = connect(tunnel)
    wait_until(lambda: tunnel.active_connections, "the client to be admitted")
    begun = time.monotonic()
    tunnel.close()
    took = time.monotonic() - begun
    released.set()

    assert took < 3
    wait_until(lambda: dialled and dialled[0].socket.fileno() == -1, "the late stream to be closed")
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_only_loopback_is_listened_on(echo_port: int, opened: ExitStack) -> None:
    tunnel = opened.enter_context(Tunnel(DirectRoute("127.0.0.1"), echo_port))

    addresses = {
        connection.laddr.ip
        for connection in psutil.Process().net_connections("tcp")
        if connection.laddr.port == tunnel.port
    }

    assert addresses == {"127.0.0.1", "::1"}
