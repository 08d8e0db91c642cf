"""Forwarded ports: local ports that lead to ports of an environment's loopback that the user has named."""

import socket
from collections.abc import Callable
from http import HTTPStatus

from ocattach.tunnel.client import Client
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tcp import bind_both, bind_pair

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


def bind_forwarded(port: int, local: int | None) -> list[socket.socket]:
    """Return sockets on the port `local`, any free one for 0; without one, the same as there or any free one.

    Raises OSError if `local` is taken or not permitted.
    """
    if local:
        return bind_pair(local)
    return bind_both(() if local == 0 else (port + HIGHER if port < PRIVILEGED else port,))
