"""Proxies that connect to where a client wants: HTTP with CONNECT, or SOCKS 5. Both can require a password."""

import base64
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.rigs.http_proxy import splice
from tests.rigs.http_servers import END_OF_HEAD

BY_NAME = 3
PASSWORD_METHOD = 2


@dataclass
class TunnelProxy:
    """A running proxy of the loopback."""

    port: int
    targets: list[str] = field(default_factory=list)
    """The hosts to which it has connected, as clients named them."""


@contextmanager
def tunnel_proxy(
    scheme: str, account: str = "", names: Mapping[str, str] | None = None
) -> Iterator[TunnelProxy]:
    """A proxy of the scheme `http` or `socks5`; it alone resolves the names. `account` is USER:PASSWORD."""
    gone = threading.Event()
    greet = {"http": connect_host, "socks5": socks_host}[scheme]

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            wanted = greet(connection, account)
            if wanted:
                proxy.targets.append(wanted[0])
                host = (names or {}).get(wanted[0], wanted[0])
                with socket.create_connection((host, wanted[1])) as there:
                    connection.sendall(DONE[scheme])
                    splice(connection, there, gone)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy = TunnelProxy(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield proxy
        finally:
            gone.set()
            server.shutdown()


DONE = {"http": b"HTTP/1.1 200 Connected" + END_OF_HEAD, "socks5": b"\5\0\0\1\0\0\0\0\0\0"}


def connect_host(connection: socket.socket, account: str) -> tuple[str, int] | None:
    """The host and port of a CONNECT; None if the client did not give the password."""
    head = b""
    while END_OF_HEAD not in head and (data := connection.recv(65536)):
        head += data
    credentials = f"Basic {base64.b64encode(account.encode()).decode()}"
    if account and f"proxy-authorization: {credentials}".lower() not in head.decode().lower():
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required" + END_OF_HEAD)
        return None
    host, _, port = head.split()[1].decode().rpartition(":")
    return host, int(port)


def socks_host(connection: socket.socket, account: str) -> tuple[str, int] | None:
    """The host and port of a SOCKS 5 request (RFC 1928, 1929); None if the client did not give the password."""

    def read(length: int) -> bytes:
        return connection.recv(length, socket.MSG_WAITALL)

    methods = read(read(2)[1])
    if account:
        if PASSWORD_METHOD not in methods:
            return None
        connection.sendall(bytes([5, PASSWORD_METHOD]))
        user = read(read(2)[1])
        password = read(read(1)[0])
        connection.sendall(bytes([1, int(f"{user.decode()}:{password.decode()}" != account)]))
    else:
        connection.sendall(b"\5\0")
    kind = read(4)[3]
    host = read(read(1)[0]).decode() if kind == BY_NAME else socket.inet_ntoa(read(4))
    return host, int.from_bytes(read(2))
