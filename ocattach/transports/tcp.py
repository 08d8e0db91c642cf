"""TCP connections that succeed soon after the network is back."""

import socket
import time
from typing import Any

from ocattach.execution import on_error

LONGEST_SHOWN = 100
TRY_SECONDS = 2.5
"""Seconds before a new attempt; the kernel repeats its own after 1, 3, 7 and 15 s (tcp(7))."""


def dial_tcp(
    host: str, port: int, timeout: float, *, family: int = socket.AF_UNSPEC, bind_address: str | None = None
) -> socket.socket:
    """Connect to one of a host's addresses, from `bind_address` if given.

    A new attempt every `TRY_SECONDS` makes it succeed soon after a network that was down.
    Raises OSError, and TimeoutError after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: OSError = OSError(f"{host} has no address")
        try:
            addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        except UnicodeError as error:  # a label of more than 63 characters
            raise OSError(f"{host[:LONGEST_SHOWN]} is not the name of a host") from error
        for kind, _, _, _, address in addresses:
            seconds = min(TRY_SECONDS, max(0.1, deadline - time.monotonic()))
            try:
                connection = _connect(kind, address, seconds, bind_address)
            except OSError as error:
                # An address that timed out may still answer; a refusal is final.
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
    with on_error(connection.close):
        if bind_address:
            connection.bind(socket.getaddrinfo(bind_address, 0, family, socket.SOCK_STREAM)[0][4])
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
