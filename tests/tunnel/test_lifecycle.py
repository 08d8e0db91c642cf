"""How tunnels begin, what they carry and how they end."""

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.route import DialRoute, RelayRoute, Route
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tcp import bind_port
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel import servers
from tests.tunnel.clients import Connect, assert_echoes, exchange
from tests.tunnel.relays import ProcessStream, python_relay
from tests.tunnel.routes import deny, relay_route, shell_stream


def fail_to_tunnel(script: str) -> None:
    with Tunnel(RelayRoute(shell_stream(script)), 1, timeout=0.5) as tunnel:
        raise ConnectionLostError(wait_until(lambda: tunnel.lost, "the tunnel to be lost"))


def holdings() -> tuple[int, int, int]:
    """How much there is of what a process can forget to give back: threads, files, processes."""
    this = psutil.Process()
    return threading.active_count(), this.num_fds(), len(this.children(recursive=True))


def wait_until_no_more_than(before: tuple[int, int, int]) -> None:
    wait_until(
        lambda: all(now <= then for now, then in zip(holdings(), before, strict=True)),
        "everything to be given back",
    )


def test_every_route_carries_a_connection(
    make_route: Callable[[], Route], echo_port: int, opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(make_route(), echo_port))

    assert_echoes(connect(tunnel))


class Accepted(asyncio.Protocol):
    """A connection to the local port, as asyncio furnished it."""

    def __init__(self, nodelay: "asyncio.Future[int]") -> None:
        self._nodelay = nodelay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        accepted = transport.get_extra_info("socket")
        self._nodelay.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_no_piece_of_an_answer_waits_until_the_client_has_acknowledged_the_one_before() -> None:
    async def nodelay() -> int:
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[int] = loop.create_future()
        listening = bind_port(0)
        server = await loop.create_server(lambda: Accepted(seen), sock=listening)
        async with server:
            with socket.create_connection(listening.getsockname()):
                return await asyncio.wait_for(seen, 30)

    assert asyncio.run(nodelay())


def test_every_route_carries_the_end_of_input(
    make_route: Callable[[], Route], opened: ExitStack, connect: Connect
) -> None:
    with servers.server(servers.answer_at_the_end) as port:
        client = connect(opened.enter_context(Tunnel(make_route(), port)))
        client.sendall(bytes(1 << 20))
        client.shutdown(socket.SHUT_WR)

        assert servers.receive_all(client) == b"1048576 bytes"


def test_every_route_resets_the_client_of_a_server_that_resets(
    make_route: Callable[[], Route], opened: ExitStack, connect: Connect
) -> None:
    with servers.server(servers.reset) as port:
        client = connect(opened.enter_context(Tunnel(make_route(), port)))
        client.sendall(b"x")

        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize(
    "make_refusing", [relay_route, lambda: DirectRoute("127.0.0.1"), lambda: DialRoute("port-forward", deny)]
)
def test_a_refused_connection_resets_the_client_and_no_more(
    make_refusing: Callable[[], Route], opened: ExitStack, connect: Connect
) -> None:
    tunnel = opened.enter_context(Tunnel(make_refusing(), servers.free_port()))

    with pytest.raises(ConnectionResetError):
        connect(tunnel).recv(1)
    assert tunnel.lost is None


def test_the_tunnel_says_what_it_is(echo_port: int, connect: Connect) -> None:
    with Tunnel(DirectRoute("127.0.0.1"), echo_port) as tunnel:
        client = connect(tunnel)
        wait_until(lambda: tunnel.active_connections == 1, "the client to be counted")
        while_open = tunnel.idle_seconds
        client.close()
        wait_until(lambda: tunnel.active_connections == 0, "the client to be gone")

        assert (tunnel.url, tunnel.remote_port) == (f"http://127.0.0.1:{tunnel.port}", echo_port)
        assert (tunnel.route_name, tunnel.round_trip, tunnel.lost) == ("direct", None, None)
        assert while_open == 0
        assert 0 < tunnel.idle_seconds < 10


def test_close_leaves_no_thread_file_or_process(make_route: Callable[[], Route], echo_port: int) -> None:
    with Tunnel(DirectRoute("127.0.0.1"), echo_port):
        pass  # what is made once for the process is there now
    before = holdings()

    tunnel = Tunnel(make_route(), echo_port)
    clients = [socket.create_connection(("127.0.0.1", tunnel.port), timeout=60) for _ in range(10)]
    for client in clients:
        assert_echoes(client)
    tunnel.close()

    for client in clients:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        client.close()
    wait_until_no_more_than(before)


def test_close_frees_the_port_and_twice_is_harmless(echo_port: int) -> None:
    tunnel = Tunnel(relay_route(), echo_port)
    tunnel.close()
    tunnel.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", tunnel.port), timeout=60)


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("echo opencode: not found >&2; exit 127", ConnectionLostError, "opencode: not found"),
        ("echo Welcome to the shell", ConnectionLostError, "Welcome to the shell"),
        (r"printf '\0ocattach-relay 2\n'; sleep 60", ConnectionLostError, "speaks version '2'"),
        ("yes", ConnectionLostError, "did not announce itself within 64 KiB"),
        ("sleep 60", TimedOutError, "did not announce itself within 0.5 s"),
        (
            r"printf '\0ocattach-relay 1\n\377\377\377\377\377\377\377\377\377'",
            ConnectionLostError,
            "type, 255",
        ),
    ],
)
def test_what_is_no_relay_is_told_and_leaves_nothing_behind(
    script: str, error: type[Exception], message: str
) -> None:
    before = holdings()

    with pytest.raises(error, match=message):
        fail_to_tunnel(script)

    wait_until_no_more_than(before)


def test_noise_before_the_banner_does_not_matter(echo_port: int, opened: ExitStack, connect: Connect) -> None:
    stream = ProcessStream(["sh", "-c", 'echo "Welcome!"; exec "$@"', "sh", *python_relay()])
    tunnel = opened.enter_context(Tunnel(RelayRoute(stream), echo_port))

    assert_echoes(connect(tunnel))


def test_tunnels_of_one_process_do_not_mix_their_bytes(echo_port: int, opened: ExitStack) -> None:
    data = [bytes([number]) * (8 << 20) for number in range(4)]
    tunnels = [opened.enter_context(Tunnel(DirectRoute("127.0.0.1"), echo_port)) for _ in data]

    with ThreadPoolExecutor(len(data)) as clients:
        answers = list(clients.map(exchange, tunnels, data))

    assert all(answer == sent for answer, sent in zip(answers, data, strict=True))


def test_who_speaks_at_once_is_heard_also_where_asyncio_forgets_that_it_was_paused(
    echo_port: int, opened: ExitStack, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin_to_read(transport: Any, fd: int, callback: Callable[..., object], *args: object) -> None:
        """As in Python 3.11.2 (asyncio/selector_events.py), which Debian 12 has."""
        if not transport.is_closing():
            transport._loop._add_reader(fd, callback, *args)

    monkeypatch.setattr("asyncio.selector_events._SelectorTransport._add_reader", begin_to_read)
    tunnel = opened.enter_context(Tunnel(DirectRoute("127.0.0.1"), echo_port))
    tunnel.give_up("It was cut.")
    client = connect(tunnel)
    client.sendall(b"hello")
    wait_until(lambda: tunnel.held, "it to be held")

    tunnel.switch_route(DirectRoute("127.0.0.1"), echo_port)

    assert servers.receive(client, 5) == b"hello"


def test_a_client_is_freed_as_soon_as_it_is_gone(echo_port: int) -> None:
    gc.collect()
    gc.disable()
    before = endpoints()
    try:
        with Tunnel(DirectRoute("127.0.0.1"), echo_port) as tunnel:
            for _ in range(10):
                assert exchange(tunnel, b"hello") == b"hello"
            wait_until(lambda: endpoints() <= before, "all clients to be freed")
    finally:
        gc.enable()


def endpoints() -> set[int]:
    """The ends of connections in memory, by their identities."""
    return {id(found) for found in gc.get_objects() if issubclass(type(found), SpliceEndpoint)}
