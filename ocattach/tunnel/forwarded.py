"""Forwarded ports: local ports that lead to ports of an environment's loopback that the user has named."""

import socket
from collections.abc import Callable
from http import HTTPStatus

from ocattach.tunnel.client import Client
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tcp import bind_first, bind_port

PRIVILEGED = 1024
"""Ports below this one need privileges on most systems."""

HIGHER = 8000
"""Added to a privileged port to choose a local one: 8080 for 80, 8443 for 443."""


class ForwardedClient(Client):
    """A client of a forwarded port.

    Its bytes may be of any protocol, so it is reset in the cases in which an HTTP client would get an error.
    """

    def __init__(
        self,
        local: int,
        port: int,
        on_connected: Callable[[Client], None],
        on_closed: Callable[[SpliceEndpoint], None],
    ) -> None:
        super().__init__(on_connected, on_closed)
        self.local = local
        """The forwarded port of this machine."""
        self.port = port
        self._speaks_http = False

    def refuse(self, status: HTTPStatus, reason: str) -> None:  # noqa: ARG002 - there is no way to send them
        self.reset()


def bind_forwarded(port: int, local: int | None) -> socket.socket:
    """Return a socket of 127.0.0.1 on the port `local`; without one, on the same port as there or any free one.

    Raises OSError if `local` is taken or not permitted.
    """
    if local is not None:
        return bind_port(local)
    return bind_first((port + HIGHER if port < PRIVILEGED else port,))
