"""Programs that listen where somebody might take them for a daemon, and write down what they are told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rigs.waiting import wait_until


class Decoy:
    """A listening program; it answers like an OpenCode that wants no password."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    def __init__(self, listener: socket.socket) -> None:
        self.received: list[bytes] = []
        """What each connection has brought, in the order in which they came."""

        self._listener = listener
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.received.append(b"")
            thread = threading.Thread(target=self._attend, args=(connection, len(self.received) - 1))
            self._threads.append(thread)
            thread.start()

    def _attend(self, connection: socket.socket, number: int) -> None:
        with connection:
            connection.settimeout(30)
            try:
                while data := connection.recv(65536):
                    self.received[number] += data
                    connection.sendall(self.ANSWER)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def listen(port: int) -> socket.socket | None:
    """A listening socket; None while the port is taken."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


@contextmanager
def decoy(port: int) -> Iterator[Decoy]:
    """A decoy on a port of this machine's loopback, which a program that ended may keep for a moment."""
    running = Decoy(wait_until(lambda: listen(port), f"port {port} to be free"))
    try:
        yield running
    finally:
        running.close()


def free_port() -> int:
    """A port that nobody listens on here, and not one that the kernel gives out by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
