"""Tunnels over every relay."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ocattach.tunnel.route import RelayRoute, Route
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.availability import require
from tests.tunnel import servers
from tests.tunnel.relays import RELAYS, ProcessStream
from tests.tunnel.routes import ROUTES


@pytest.fixture(params=sorted(RELAYS))
def relay(request: pytest.FixtureRequest) -> list[str]:
    """The command of each relay in turn."""
    with require(request.param):
        return RELAYS[request.param]()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes at the end what a test opened, in reverse."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def open_tunnel(relay: list[str], opened: ExitStack) -> Callable[[int], Tunnel]:
    """Opens a tunnel to a port through the relay."""
    return lambda port: opened.enter_context(Tunnel(RelayRoute(ProcessStream(relay)), port))


@pytest.fixture
def connect(opened: ExitStack) -> Callable[[Tunnel], socket.socket]:
    """Connects a client to a tunnel; what it waits for comes within 30 s or fails the test."""
    return lambda tunnel: opened.enter_context(
        socket.create_connection(("127.0.0.1", tunnel.port), timeout=30)
    )


@pytest.fixture(params=sorted(ROUTES))
def make_route(request: pytest.FixtureRequest) -> Callable[[], Route]:
    make: Callable[[], Route] = ROUTES[request.param]
    return make


@pytest.fixture
def echo_port() -> Iterator[int]:
    with servers.server(servers.echo) as port:
        yield port
