"""Servers that answer in the place of a daemon, as the network of a hotel or a wrong port would."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SECONDS = 30
END_OF_HEAD = b"\r\n\r\n"


@dataclass
class Server:
    """A server on the loopback, and every head it was sent."""

    port: int
    heads: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends: what a behaviour may wait for."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


Behaviour = Callable[[socket.socket, Server], None]


def answer(
    status: str, body: bytes | str = b"", *, kind: str = "application/json", headers: str = ""
) -> Behaviour:
    """A behaviour: one answer."""
    content = body.encode() if isinstance(body, str) else body
    length = f"Content-Length: {len(content)}\r\nConnection: close\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}{headers}\r\n"

    def respond(connection: socket.socket, _: Server) -> None:
        connection.sendall(head.encode() + content)

    return respond


@contextmanager
def serve(behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that reads one head from each client and then behaves so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        threads: list[threading.Thread] = []

        def attend(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(SECONDS)
                try:
                    secure = tls.wrap_socket(connection, server_side=True) if tls else connection
                    with secure:
                        head = b""
                        while END_OF_HEAD not in head and (data := secure.recv(65536)):
                            head += data
                        server.heads.append(head.decode(errors="replace"))
                        behaviour(secure, server)
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=attend, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            server.gone.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()
