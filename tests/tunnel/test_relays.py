"""What every relay promises, seen through a tunnel by real clients."""

import os
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from ocattach.tunnel.frames import BANNER_START, Decoder, Frame, FrameType, encode, open_frame
from ocattach.tunnel.route import RelayRoute
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel import servers
from tests.tunnel.clients import Connect, exchange, send_and_end
from tests.tunnel.relays import ProcessStream, through_pipes

MIB = 1 << 20
BANNER = BANNER_START + b"1\n"
OpenTunnel = Callable[[int], Tunnel]


def is_reset(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def test_a_mebibyte_comes_back_identical(open_tunnel: OpenTunnel) -> None:
    data = os.urandom(MIB)
    with servers.server(servers.echo) as port:
        tunnel = open_tunnel(port)

        assert exchange(tunnel, data) == data


def test_many_mebibytes_pass_through_pipes(relay: list[str], opened: ExitStack) -> None:
    data = os.urandom(16 * MIB)
    with servers.server(servers.echo) as port:
        tunnel = opened.enter_context(Tunnel(RelayRoute(ProcessStream(through_pipes(relay))), port))

        assert exchange(tunnel, data) == data


def test_the_input_may_be_non_blocking(relay: list[str], opened: ExitStack) -> None:
    data = os.urandom(MIB)
    code = "import os, sys; os.set_blocking(0, False); os.execvp(sys.argv[1], sys.argv[1:])"
    with servers.server(servers.echo) as port:
        stream = ProcessStream([sys.executable, "-c", code, *relay])
        tunnel = opened.enter_context(Tunnel(RelayRoute(stream), port))

        assert exchange(tunnel, data) == data


def test_clients_that_do_not_read_stall_no_new_connection(
    relay: list[str], opened: ExitStack, connect: Connect
) -> None:
    def flood_or_echo(connection: socket.socket) -> None:
        if connection.recv(1) == b"f":
            servers.flood(connection)
        servers.echo(connection)

    with servers.server(flood_or_echo) as port:
        tunnel = opened.enter_context(Tunnel(RelayRoute(ProcessStream(through_pipes(relay))), port))
        stuck = [connect(tunnel) for _ in range(20)]
        for client in stuck:
            client.sendall(b"f")
            servers.receive(client, 1)

        for _ in range(20):
            assert exchange(tunnel, b"e" + bytes(65536)) == bytes(65536)
        for client in stuck:
            client.close()
        assert exchange(tunnel, b"e" + bytes(65536)) == bytes(65536)


def test_two_hundred_clients_at_once_get_what_is_theirs(open_tunnel: OpenTunnel) -> None:
    data = [os.urandom(MIB) for _ in range(200)]
    with servers.server(servers.echo) as port, ThreadPoolExecutor(200) as clients:
        tunnel = open_tunnel(port)

        answers = list(clients.map(lambda block: exchange(tunnel, block), data))

    assert all(answer == block for answer, block in zip(answers, data, strict=True))


def test_a_server_may_answer_after_the_end_of_its_input(open_tunnel: OpenTunnel, connect: Connect) -> None:
    with servers.server(servers.answer_at_the_end) as port:
        client = connect(open_tunnel(port))

        send_and_end(client, bytes(3 * MIB))

        assert servers.receive_all(client) == b"3145728 bytes"


def test_a_long_answer_after_the_end_of_its_input_reaches_a_slow_client(
    open_tunnel: OpenTunnel, connect: Connect
) -> None:
    answer = os.urandom(16 * MIB)

    def answer_at_length(connection: socket.socket) -> None:
        servers.receive_all(connection)
        connection.sendall(answer)

    with servers.server(answer_at_length) as port:
        client = connect(open_tunnel(port))
        client.shutdown(socket.SHUT_WR)
        received = bytearray()
        while block := client.recv(1 << 16):
            received += block
            time.sleep(0.001)

    assert received == answer


def test_a_client_may_go_on_after_the_end_of_the_answer(open_tunnel: OpenTunnel, connect: Connect) -> None:
    received: list[bytes] = []

    def greet_and_end(connection: socket.socket) -> None:
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        received.append(servers.receive_all(connection))

    with servers.server(greet_and_end) as port:
        client = connect(open_tunnel(port))
        greeting = servers.receive_all(client)

        send_and_end(client, bytes(3 * MIB))

        wait_until(lambda: received, "the server to have read everything")
    assert (greeting, received) == (b"hello", [bytes(3 * MIB)])


def test_an_answer_longer_than_the_credit_is_whole(open_tunnel: OpenTunnel, connect: Connect) -> None:
    with servers.server(lambda connection: connection.sendall(bytes(4 * MIB))) as port:
        client = connect(open_tunnel(port))

        assert len(servers.receive_all(client)) == 4 * MIB


def test_a_refused_port_resets_the_client(open_tunnel: OpenTunnel, connect: Connect) -> None:
    client = connect(open_tunnel(servers.free_port()))

    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_reset_by_the_server_resets_the_client(open_tunnel: OpenTunnel, connect: Connect) -> None:
    with servers.server(servers.reset) as port:
        client = connect(open_tunnel(port))
        client.sendall(b"x")

        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_client_that_writes_on_to_a_closed_server_is_reset(
    open_tunnel: OpenTunnel, connect: Connect
) -> None:
    with servers.server(lambda connection: connection.sendall(b"bye")) as port:
        client = connect(open_tunnel(port))
        greeting = servers.receive_all(client)

        wait_until(lambda: is_reset(client), "the client to be reset")
    assert greeting == b"bye"


def test_a_reset_by_the_client_resets_the_server(open_tunnel: OpenTunnel, connect: Connect) -> None:
    seen: list[Exception | bytes] = []

    def notice(connection: socket.socket) -> None:
        connection.sendall(b"ready")
        try:
            seen.append(connection.recv(1))
        except ConnectionResetError as error:
            seen.append(error)

    with servers.server(notice) as port:
        client = connect(open_tunnel(port))
        client.recv(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, servers.RESET_ON_CLOSE)
        client.close()

        wait_until(lambda: seen, "the server to see the reset")
    assert isinstance(seen[0], ConnectionResetError)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_loopback_may_be_named(host: str, relay: list[str], opened: ExitStack, connect: Connect) -> None:
    with servers.server(servers.echo) as port:
        tunnel = opened.enter_context(Tunnel(RelayRoute(ProcessStream(relay)), port, remote_host=host))
        client = connect(tunnel)
        client.sendall(b"x")

        assert client.recv(1) == b"x"


@pytest.mark.parametrize("host", ["0.0.0.0", "example.com", "127.0.0.2", "__proto__"])  # noqa: S104  refused
def test_no_other_host_is_connected_to(host: str, relay: list[str], opened: ExitStack) -> None:
    stream = ProcessStream(relay)
    opened.callback(stream.close)
    decoder = Decoder()
    servers.receive(stream.socket, len(BANNER))

    stream.socket.sendall(encode(open_frame(1, host, 1)))

    answer = servers.receive(stream.socket, len(encode(Frame(FrameType.RESET, 1, b"EACCES"))))
    assert decoder.feed(answer) == [Frame(FrameType.RESET, 1, b"EACCES")]


def test_localhost_may_be_ipv6(relay: list[str], opened: ExitStack, connect: Connect) -> None:
    try:
        listener = opened.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
    except OSError as reason:
        pytest.skip(f"no IPv6 here: {reason}")
    route = RelayRoute(ProcessStream(relay))
    tunnel = opened.enter_context(Tunnel(route, listener.getsockname()[1], remote_host="localhost"))
    client = connect(tunnel)

    accepted = opened.enter_context(listener.accept()[0])
    client.sendall(b"x")

    assert accepted.recv(1) == b"x"


def test_the_relay_ends_with_its_input(relay: list[str], opened: ExitStack) -> None:
    stream = ProcessStream(relay)
    opened.callback(stream.close)
    servers.receive(stream.socket, len(BANNER))

    stream.socket.shutdown(socket.SHUT_WR)

    assert stream.process.wait(timeout=60) == 0


def test_the_relay_ends_when_nobody_is_there_any_more(relay: list[str], opened: ExitStack) -> None:
    stream = ProcessStream(relay)
    opened.callback(stream.close)
    servers.receive(stream.socket, len(BANNER))

    stream.socket.close()

    stream.process.wait(timeout=60)


def test_the_relay_ends_when_nothing_is_heard_for_too_long(relay: list[str], opened: ExitStack) -> None:
    stream = ProcessStream([*relay, "0.5"])
    opened.callback(stream.close)
    servers.receive(stream.socket, len(BANNER))

    assert stream.process.wait(timeout=30) == 0


def test_the_relay_stays_while_something_is_heard(relay: list[str], opened: ExitStack) -> None:
    stream = ProcessStream([*relay, "5"])
    opened.callback(stream.close)
    servers.receive(stream.socket, len(BANNER))
    started = time.monotonic()
    ping = encode(Frame(FrameType.PING, 0, b"x"))
    while time.monotonic() - started < 7:
        stream.socket.sendall(ping)
        assert len(servers.receive(stream.socket, len(ping))) == len(ping)
        time.sleep(0.2)

    assert stream.process.poll() is None


def test_the_round_trip_is_measured(open_tunnel: OpenTunnel) -> None:
    tunnel = open_tunnel(servers.free_port())

    assert 0 < wait_until(lambda: tunnel.round_trip, "the first answer to a ping") < 10
