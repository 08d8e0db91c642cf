"""Routes of every kind to ports of this machine."""

import socket
from collections.abc import Callable

from ocattach.errors import AuthenticationError
from ocattach.execution import Stream
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.route import DialRoute, RelayRoute, Route
from tests.tunnel.relays import ProcessStream, python_relay


class SocketStream(Stream):
    """A connection that somebody else made."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def close(self) -> None:
        self._socket.close()


def relay_route() -> RelayRoute:
    return RelayRoute(ProcessStream(python_relay()))


def deny(_port: int) -> Stream:
    raise AuthenticationError("Not you.")


def shell_stream(script: str) -> ProcessStream:
    return ProcessStream(["sh", "-c", script])


ROUTES: dict[str, Callable[[], Route]] = {
    "relay": relay_route,
    "port-forward": lambda: DialRoute("port-forward", SocketStream),
    "direct": lambda: DirectRoute("127.0.0.1"),
}
