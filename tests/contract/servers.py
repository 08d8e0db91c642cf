"""Small servers that listen inside an environment."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rigs.namespaces import Network

Behaviour = Callable[[socket.socket], None]
SECONDS = 30


def echo(connection: socket.socket) -> None:
    """Send back what comes, until its end."""
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def answer_at_the_end(connection: socket.socket) -> None:
    """Say how many bytes came, once no more can come."""
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    connection.sendall(str(count).encode())


@contextmanager
def serve(
    network: Network,
    behaviour: Behaviour,
    *,
    home: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    uid: int | None = None,
) -> Iterator[int]:
    """A server in a network, of the account that a home there belongs to, else of the network's own; its port.

    With `uid` it is that account's.
    """
    owner = (home or network.process).stat().st_uid if uid is None else uid
    listener = network.listen(port, host, uid=owner)
    threads: list[threading.Thread] = []

    def attend(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(SECONDS)
            try:
                behaviour(connection)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=attend, args=(connection,))
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join()


def send_and_receive(port: int, data: bytes) -> bytes:
    """All that comes back for data, through a connection of its own to a local port."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        received = b"".join(iter(lambda: connection.recv(65536), b""))
        sending.join()
        return received
