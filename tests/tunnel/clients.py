"""Clients of a tunnel."""

import socket
import threading
from collections.abc import Callable

from ocattach.tunnel.tunnel import Tunnel
from tests.tunnel import servers

Connect = Callable[[Tunnel], socket.socket]


def send_and_end(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def exchange(tunnel: Tunnel, data: bytes) -> bytes:
    """What an echo server gives back for the data, which is sent while the answer is read."""
    with socket.create_connection(("127.0.0.1", tunnel.port), timeout=60) as client:
        sender = threading.Thread(target=send_and_end, args=(client, data))
        sender.start()
        try:
            return servers.receive_all(client)
        finally:
            sender.join()


def assert_echoes(client: socket.socket, data: bytes = b"hello") -> None:
    client.sendall(data)

    assert servers.receive(client, len(data)) == data
