"""Small TCP servers that stand for the daemon in an environment."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose every connection is given to `handle` on a thread, and closed after that."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            handle(connection)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if stopping.is_set():
                connection.close()
                return
            connections.append(connection)
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    stopping = threading.Event()
    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        socket.create_connection(listener.getsockname()).close()
        acceptor.join()
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def answer_at_the_end(connection: socket.socket) -> None:
    """Read everything, and say how much it was only then."""
    connection.sendall(b"%d bytes" % len(receive_all(connection)))


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def flood(connection: socket.socket) -> None:
    """Send without end what nobody reads."""
    block = b"x" * 65536
    while True:
        connection.sendall(block)


def receive_all(connection: socket.socket) -> bytes:
    blocks = []
    while block := connection.recv(1 << 18):
        blocks.append(block)
    return b"".join(blocks)


def receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or EOFError."""
    received = bytearray()
    while len(received) < size:
        block = connection.recv(size - len(received))
        if not block:
            raise EOFError(f"{len(received)} of {size} bytes came")
        received += block
    return bytes(received)


def free_port() -> int:
    """A port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
