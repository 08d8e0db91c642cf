"""Connections of this program's own through a tunnel that is closed at the same moment."""

import socket
from contextlib import suppress
from unittest.mock import patch

import pytest

from ocattach.tunnel.tunnel import Tunnel

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> list[Pair]:
    """Every pair of sockets that a tunnel has made, ours first."""
    return []


def connect(tunnel: Tunnel, pairs: list[Pair]) -> None:
    def make() -> Pair:
        pairs.append(make_pair())
        return pairs[-1]

    make_pair = socket.socketpair
    with patch("socket.socketpair", make):
        tunnel.connect()


def assert_closed(pairs: list[Pair]) -> None:
    [(ours, theirs)] = pairs
    with ours:
        assert theirs.fileno() == -1


def test_a_connection_is_refused_when_the_tunnel_is_closed_before_it_is_handed_over(
    pairs: list[Pair],
) -> None:
    tunnel = Tunnel()
    tunnel.close()
    tunnel._closed = False  # as `connect` saw it

    with pytest.raises(ConnectionRefusedError):
        connect(tunnel, pairs)

    assert_closed(pairs)
    assert pairs[0][0].fileno() == -1


def test_a_connection_is_closed_when_the_listener_was_closed_before_it_arrives(pairs: list[Pair]) -> None:
    tunnel = Tunnel()
    close = tunnel._listener.close

    async def close_late() -> None:
        await close()
        tunnel._closed = False  # as `connect` saw it
        connect(tunnel, pairs)

    with patch.object(tunnel._listener, "close", close_late):
        tunnel.close()

    assert_closed(pairs)


def test_a_connection_is_closed_when_the_loop_ends_before_it_arrives(pairs: list[Pair]) -> None:
    tunnel = Tunnel()
    close = tunnel._loop.close

    def close_late() -> None:
        tunnel._closed = False  # as `connect` saw it
        with suppress(ConnectionRefusedError):
            connect(tunnel, pairs)
        close()

    with patch.object(tunnel._loop, "close", close_late):
        tunnel.close()

    assert_closed(pairs)
