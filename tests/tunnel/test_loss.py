"""How tunnels are lost, hold their clients and go on with another route."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import psutil
import pytest

from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream
from ocattach.tunnel.route import DialRoute, DirectRoute, RelayRoute, Route
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel import servers
from tests.tunnel.clients import Connect, assert_echoes
from tests.tunnel.relays import ProcessStream, python_relay
from tests.tunnel.routes import SocketStream, relay_route, shell_stream


def test_a_lost_relay_resets_its_clients_and_says_why(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    told: list[str] = []
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, on_lost=told.append))
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
    route = RelayRoute(stream, ping_interval=0.2, ping_timeout=0.5)
    tunnel = opened.enter_context(Tunnel(route, echo_port))
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
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream, ping_timeout=0.3), echo_port))
    wait_until(lambda: tunnel.round_trip, "the first answer to a ping")
    stream.process.send_signal(signal.SIGSTOP)

    tunnel.check()

    wait_until(lambda: tunnel.lost, "the silence to be noticed", timeout=3)


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

    tunnel.replace(make_route(), echo_port)

    for client in held:
        assert servers.receive(client, 15) == b"typed meanwhile"
    assert (tunnel.port, tunnel.remote_port, tunnel.lost) == (port, echo_port, None)


def test_a_client_that_came_before_the_loss_was_noticed_is_served_by_the_next_route(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream, ping_timeout=0.5), echo_port))
    stream.process.send_signal(signal.SIGSTOP)
    client = connect(tunnel)
    client.sendall(b"typed meanwhile")
    wait_until(lambda: tunnel.lost, "the silence to be noticed")

    tunnel.replace(relay_route(), echo_port)

    assert servers.receive(client, 15) == b"typed meanwhile"


def test_replace_resets_the_clients_of_the_former_route(
    make_route: Callable[[], Route], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(make_route(), echo_port))
    former = connect(tunnel)
    assert_echoes(former)

    tunnel.replace(make_route(), echo_port)

    with pytest.raises(ConnectionResetError):
        former.recv(1)
    assert_echoes(connect(tunnel))
    assert tunnel.lost is None


def test_a_replacement_that_does_not_start_changes_nothing(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(relay_route(), echo_port))
    client = connect(tunnel)
    assert_echoes(client)
    failing = shell_stream("exit 3")

    with pytest.raises(ConnectionLostError):
        tunnel.replace(RelayRoute(failing), 1)

    assert failing.process.returncode == 3
    assert_echoes(client)


def test_close_ends_a_replacement_that_is_under_way(echo_port: int) -> None:
    tunnel = Tunnel(relay_route(), echo_port)
    slow = shell_stream("sleep 60")
    errors: list[Exception] = []

    def replace() -> None:
        try:
            tunnel.replace(RelayRoute(slow), echo_port, timeout=60)
        except ConnectionLostError as error:
            errors.append(error)

    replacing = threading.Thread(target=replace)
    replacing.start()
    wait_until(lambda: tunnel._listener._switches, "the replacement to begin")
    tunnel.close()
    replacing.join(timeout=10)

    assert [str(error) for error in errors] == ["The tunnel was closed meanwhile."]
    assert slow.process.poll() is not None


def test_a_closed_tunnel_refuses_a_route_and_closes_it(echo_port: int) -> None:
    tunnel = Tunnel(relay_route(), echo_port)
    tunnel.close()
    stream = ProcessStream(python_relay())

    with pytest.raises(ConnectionLostError, match="closed"):
        tunnel.replace(RelayRoute(stream), echo_port)

    assert stream.process.poll() is not None


def test_held_clients_are_bounded_in_number_and_time(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    stream = ProcessStream(python_relay())
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port, hold_limit=3, hold_timeout=1))
    stream.process.kill()
    wait_until(lambda: tunnel.lost, "the loss to be noticed")
    begun = time.monotonic()

    held = [connect(tunnel) for _ in range(3)]
    wait_until(lambda: tunnel.active_connections == 3, "the clients to be held")
    with pytest.raises(ConnectionResetError):
        connect(tunnel).recv(1)
    refused = time.monotonic() - begun
    for client in held:
        with pytest.raises(ConnectionResetError):
            client.recv(1)

    assert refused < 0.9 < time.monotonic() - begun


def test_a_dial_that_finds_the_way_gone_loses_the_route(
    echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    def dial(_port: int) -> Stream:
        raise ConnectionLostError("The SSH connection is gone.")

    tunnel = opened.enter_context(Tunnel(DialRoute("ssh", dial), echo_port))
    client = connect(tunnel)
    client.sendall(b"typed meanwhile")
    reason = wait_until(lambda: tunnel.lost, "the loss to be noticed")

    tunnel.replace(DialRoute("ssh", SocketStream), echo_port)

    assert reason == "The SSH connection is gone."
    assert servers.receive(client, 15) == b"typed meanwhile"


def test_close_does_not_wait_for_a_dial_into_the_void(echo_port: int, connect: Connect) -> None:
    released = threading.Event()
    dialled: list[SocketStream] = []

    def dial(port: int) -> Stream:
        released.wait(timeout=30)
        dialled.append(SocketStream(port))
        return dialled[-1]

    tunnel = Tunnel(DialRoute("ssh", dial), echo_port)
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

    assert addresses == {"127.0.0.1"}
