"""A command's input and output over one socket."""

import selectors
import socket
import time
from collections.abc import Iterator


def exchange(
    connection: socket.socket, stdin: bytes, deadline: float, *, ends_input: bool = True
) -> Iterator[bytes]:
    """Send stdin and yield the output until it ends. The socket does not block afterwards.

    Both are awaited together: what does not read its input may have ended. Without `ends_input` more input can follow.
    Raises TimeoutError at the deadline, which is on the monotonic clock, also while output comes.
    """
    connection.setblocking(False)
    unsent = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while True:
            left = deadline - time.monotonic()
            events = selector.select(max(0, left))
            if not events or left <= 0:
                raise TimeoutError
            for _, ready in events:
                if ready & selectors.EVENT_WRITE:
                    unsent = unsent[sent(connection, unsent, ends_input=ends_input) :]
                    if not unsent:
                        selector.modify(connection, selectors.EVENT_READ)
                if ready & selectors.EVENT_READ:
                    data = connection.recv(65536)
                    if not data:
                        return
                    yield data


def sent(connection: socket.socket, data: memoryview, *, ends_input: bool) -> int:
    """Send a part of the input, and its end after the last. Returns the bytes that need not be sent any more."""
    try:
        count = connection.send(data) if data else 0
        if ends_input and count == len(data):
            connection.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):  # the command has ended: its output says why
        return len(data)
    return count
