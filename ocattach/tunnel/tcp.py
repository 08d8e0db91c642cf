"""TCP: the local port of a tunnel, and connections as one end of a splice."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence
from typing import Any

from ocattach.execution import on_error
from ocattach.tunnel.splice import SpliceEndpoint

IDLE_OPTION: int = getattr(socket, "TCP_KEEPIDLE", 0x10)
"""The option for seconds of idleness before the first probe; macOS has another name for it."""

MOST_IDLE_SECONDS = 32767
"""The largest value of that option on Linux (MAX_TCP_KEEPIDLE in include/net/tcp.h)."""

RECEIVE_BUFFER = 128 * 1024
"""The kernel's buffer for a client that is not read, in bytes; the kernel doubles it (socket(7))."""

LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"
NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
MOST_ATTEMPTS = 20
"""How many ports of the system's choice are tried until one is free on both loopback addresses."""


def bind_both(ports: Sequence[int]) -> list[socket.socket]:
    """Sockets of 127.0.0.1 and ::1 on the first of these ports that is free on both; on any when none is.

    Browsers try ::1 first for `localhost` and the names below it: an account that listens there would get the links and
    cookies that are meant for this port. Without IPv6 there is one socket.
    """
    for port in (*ports, *[0] * (MOST_ATTEMPTS - 1)):
        with contextlib.suppress(OSError):
            return bind_pair(port)
    return bind_pair(0)


def bind_pair(port: int) -> list[socket.socket]:
    """Sockets of 127.0.0.1 and ::1 on this port. Raises OSError if it is taken on one of them."""
    first = bind_port(port)
    with on_error(first.close):
        try:
            return [first, bind_port(first.getsockname()[1], LOOPBACK_6)]
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
            return [first]


def bind_port(port: int, address: str = LOOPBACK) -> socket.socket:
    """A socket of an address on this port, or on any for 0. Raises OSError if it is taken or not permitted."""
    family = socket.AF_INET if address == LOOPBACK else socket.AF_INET6
    # asyncio disables the Nagle algorithm only for sockets that name their protocol (CPython 3.11).
    listening = socket.socket(family, proto=socket.IPPROTO_TCP)
    with on_error(listening.close):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
    return listening


async def connect_spliced(far: SpliceEndpoint, client: SpliceEndpoint, **address: Any) -> asyncio.Transport:
    """Connect `far` to an address, or to a socket (`sock`), spliced with a client that is not read yet."""
    far.join(client)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: far, **address)
    return transport


def end_when_silent(connection: socket.socket, seconds: float) -> None:
    """Make the kernel end a TCP connection whose peer does not answer or acknowledge for so long (tcp(7))."""
    interval = min(max(1, round(seconds / 3)), MOST_IDLE_SECONDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, IDLE_OPTION, interval)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
