"""TCP connections that succeed soon after the network is back."""

import socket
import time
from typing import Any

from ocattach.execution import on_error

LONGEST_SHOWN = 100
TRY_SECONDS = 2.5
"""Seconds before a new attempt; the kernel repeats its own after 1, 3, 7 and 15 s (tcp(7))."""


def dial_tcp(host: str, port: int, timeout: float) -> socket.socket:
    """Connect to one of a host's addresses.

    A new attempt every `TRY_SECONDS` makes it succeed soon after a network that was down.
    Raises OSError, and TimeoutError after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: OSError = OSError(f"{host} has no address")
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # a label of more than 63 characters
            raise OSError(f"{host[:LONGEST_SHOWN]} is not the name of a host") from error
        for family, _, _, _, address in addresses:
            seconds = min(TRY_SECONDS, max(0.1, deadline - time.monotonic()))
            try:
                connection = _connect(family, address, seconds)
            except OSError as error:
                # An address that timed out may still answer; a refusal is final.
                failure = failure if isinstance(failure, TimeoutError) else error
            else:
                connection.settimeout(timeout)
                return connection
        if not isinstance(failure, TimeoutError) or time.monotonic() >= deadline:
            raise failure


def _connect(family: int, address: tuple[Any, ...], seconds: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    with on_error(connection.close):
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
