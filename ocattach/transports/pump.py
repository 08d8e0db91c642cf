"""A socket for a connection that has none, with two threads that copy bytes.

For SDKs that do not expose a socket: an ssh channel is part of an encrypted connection.
"""

import socket
import threading
from collections.abc import Callable
from typing import Self

CHUNK = 16 * 1024
JOIN_SECONDS = 5


class Pump:
    """A socket pair whose inner end is copied to and from the real connection.

    `receive` blocks for the next bytes (b"" at the end) and `send` until all is sent; both raise OSError or EOFError
    when the connection is lost, which ends the pump. `hang_up` makes both return. `early` was already received.
    """

    def __init__(
        self,
        *,
        receive: Callable[[], bytes],
        send: Callable[[bytes], None],
        end_input: Callable[[], None],
        hang_up: Callable[[], None],
        early: bytes = b"",
    ) -> None:
        self.socket, self._inner = socket.socketpair()
        self._receive, self._send = receive, send
        self._end_input, self._hang_up = end_input, hang_up
        self._early = early
        self._closed = threading.Lock()
        self._threads = [
            threading.Thread(target=self._carry_output, name="ocattach-pump-output", daemon=True),
            threading.Thread(target=self._carry_input, name="ocattach-pump-input", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @classmethod
    def over_socket(cls, connection: socket.socket, early: bytes) -> Self:
        """Return a pump over a real socket; the bytes in `early` were already read from it."""
        connection.setblocking(True)

        def hang_up() -> None:
            shut_down(connection, socket.SHUT_RDWR)

        return cls(
            receive=lambda: connection.recv(CHUNK),
            send=connection.sendall,
            end_input=lambda: shut_down(connection, socket.SHUT_WR),
            hang_up=hang_up,
            early=early,
        )

    def _carry_output(self) -> None:
        try:
            data = self._early or self._receive()
            while data:
                self._inner.sendall(data)
                data = self._receive()
            shut_down(self._inner, socket.SHUT_WR)
        except BaseException as error:
            shut_down(self._inner, socket.SHUT_RDWR)
            if not isinstance(error, OSError | EOFError):
                raise

    def _carry_input(self) -> None:
        try:
            while data := self._inner.recv(CHUNK):
                self._send(data)
            self._end_input()
        except BaseException as error:
            shut_down(self._inner, socket.SHUT_RDWR)
            if not isinstance(error, OSError | EOFError):
                raise

    def close(self) -> None:
        """End both threads and both ends. Closing twice is harmless."""
        if not self._closed.acquire(blocking=False):
            return
        self._hang_up()
        shut_down(self._inner, socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_SECONDS)
        self._inner.close()
        self.socket.close()


def shut_down(connection: socket.socket, how: int) -> None:
    """Shut down one or both directions of a socket, which may be closed already."""
    try:
        connection.shutdown(how)
    except OSError:
        return
