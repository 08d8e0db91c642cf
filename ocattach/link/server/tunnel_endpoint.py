"""Requests of ocattach itself to a daemon behind a tunnel."""

import socket
from typing import TYPE_CHECKING

from ocattach.daemon.probe import FoundDaemon
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import Endpoint

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel


class TunnelEndpoint(Endpoint):
    """The far end of a tunnel, reached without the local port, also while clients are held."""

    def __init__(self, tunnel: "Tunnel", *, counts_as_loss: bool) -> None:
        super().__init__(tunnel.url)
        self._tunnel = tunnel
        self._counts_as_loss = counts_as_loss

    def open_socket(self, timeout: float) -> socket.socket:
        """Open a connection through the tunnel."""
        opened = self._tunnel.connect(counts_as_loss=self._counts_as_loss)
        opened.settimeout(timeout)
        return opened


def open_client(
    tunnel: "Tunnel", daemon: FoundDaemon, timeout: float, *, counts_as_loss: bool = True
) -> DaemonClient:
    """Return a client for the daemon behind a tunnel. Each request may take `timeout` seconds.

    `counts_as_loss`: whether a failed dial reports the connection as lost.
    """
    endpoint = TunnelEndpoint(tunnel, counts_as_loss=counts_as_loss)
    return DaemonClient(endpoint, username=daemon.username, password=daemon.password, timeout=timeout)
