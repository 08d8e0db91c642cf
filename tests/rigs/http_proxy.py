"""A forward proxy that leads every host to one port here: other machines, without leaving this one."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rigs.http_servers import END_OF_HEAD, Server, serve


@contextmanager
def forward_proxy(port: int) -> Iterator[Server]:
    """A proxy whose every request and CONNECT goes to a port of the loopback; the heads are as it got them."""

    def behave(connection: socket.socket, server: Server) -> None:
        head = server.heads[-1]
        with socket.create_connection(("127.0.0.1", port)) as there:
            if head.startswith("CONNECT"):
                connection.sendall(b"HTTP/1.1 200 Connected" + END_OF_HEAD)
            else:
                method, url, rest = head.split(" ", 2)
                path = "/" + url.split("/", 3)[3]
                there.sendall(f"{method} {path} {rest}".encode())
            splice(connection, there, server.gone)

    with serve(behave) as server:
        yield server


def splice(one: socket.socket, other: socket.socket, gone: threading.Event) -> None:
    """Hand on what either sends until one of them ends."""
    while not gone.is_set():
        ready, _, _ = select.select([one, other], [], [], 0.1)
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)
