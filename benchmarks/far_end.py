"""The far end of a measured way: `python -m benchmarks.far_end FD` serves the listening socket it inherits.

A program of its own, so that it shares no interpreter with what is measured. The first byte of a connection says
what is wanted of it, eight more how many bytes:

e  send back what comes      u  take so many, and answer with one      d  send so many

Anything else is HTTP: a body is taken, `/N` is answered with N bytes, `/event` with a stream of events.
"""

import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.rigs.namespaces import Network
from tests.rigs.opencode import CHECKOUT

CHUNK = 256 * 1024
BLOCK = bytes(CHUNK)
EVENTS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b'2c\r\ndata: {"type":"server.connected","id":"a"}\n\n\r\n'
)


def serve_connection(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while wanted := connection.recv(1):
            if wanted == b"e":
                echo(connection)
                return
            if wanted not in b"ud":
                serve_http(connection, wanted)
                return
            left = int.from_bytes(receive(connection, 8))
            if wanted == b"u":
                take(connection, left)
                connection.sendall(b"!")
            else:
                give(connection, left)


def serve_http(connection: socket.socket, received: bytes) -> None:
    while data := connection.recv(CHUNK):
        received += data
        head, end, body = received.partition(b"\r\n\r\n")
        if not end:
            continue
        _, path, _ = head.split(b" ", 2)
        if path.startswith(b"/event"):
            connection.sendall(EVENTS)
            continue
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        take(connection, int(length[1]) - len(body) if length else 0)
        count = int(path[1:])
        connection.sendall(answer_head(count))
        give(connection, count)
        received = b""


def answer_head(count: int) -> bytes:
    """The head before so many bytes; always of the same length."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %012d\r\n\r\n" % count


def echo(connection: socket.socket) -> None:
    while data := connection.recv(CHUNK):
        connection.sendall(data)


def take(connection: socket.socket, left: int) -> None:
    while left and (data := connection.recv(min(left, CHUNK))):
        left -= len(data)


def give(connection: socket.socket, left: int) -> None:
    while left:
        connection.sendall(BLOCK[:left])
        left -= min(left, CHUNK)


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


@contextlib.contextmanager
def far_end(network: Network, *, uid: int = 0) -> Iterator[int]:
    """The server, listening on the loopback of an environment for an account; its port."""
    with network.listen(0, uid=uid) as listener:
        number = listener.fileno()
        argv = [sys.executable, "-m", "benchmarks.far_end", str(number)]
        with subprocess.Popen(
            argv, pass_fds=[number], cwd=CHECKOUT, stdin=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                yield listener.getsockname()[1]
            finally:
                process.kill()


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
