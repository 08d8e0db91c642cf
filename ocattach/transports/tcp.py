"""TCP connections that come up soon after their way does."""

import socket
import time
from typing import Any

TRY_SECONDS = 2.5
"""How long to wait for an answer before asking anew: the kernel asks again after 1, 3, 7 and 15 s (tcp(7))."""


def dial_tcp(
    host: str, port: int, timeout: float, *, family: int = socket.AF_UNSPEC, bind_address: str | None = None
) -> socket.socket:
    """A connection to one of a host's addresses, from an address of this machine where that is said.

    Asked anew every few seconds, it is there at most that long after a network that was down.
    Raises OSError, TimeoutError after so many seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: OSError = OSError(f"{host} has no address")
        for kind, _, _, _, address in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM):
            seconds = min(TRY_SECONDS, max(0.1, deadline - time.monotonic()))
            try:
                connection = _connect(kind, address, seconds, bind_address)
            except OSError as error:
                # One that does not answer may do so yet; one that refuses has spoken.
                failure = failure if isinstance(failure, TimeoutError) else error
            else:
                connection.settimeout(timeout)
                return connection
        if not isinstance(failure, TimeoutError) or time.monotonic() >= deadline:
            raise failure


def _connect(
    family: int, address: tuple[Any, ...], seconds: float, bind_address: str | None
) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        if bind_address:
            connection.bind(socket.getaddrinfo(bind_address, 0, family, socket.SOCK_STREAM)[0][4])
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection
