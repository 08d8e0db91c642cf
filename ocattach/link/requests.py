"""Requests of the link's own to the daemon, past those that are held."""

import socket
from typing import TYPE_CHECKING

from ocattach.daemon.probe import FoundDaemon
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import Endpoint

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel


class TunnelEndpoint(Endpoint):
    """Where a tunnel leads, without its local port: it can be looked at before anybody else is let through."""

    def __init__(self, tunnel: "Tunnel") -> None:
        super().__init__(tunnel.url)
        self._tunnel = tunnel

    def open_socket(self, timeout: float) -> socket.socket:
        """A connection through the tunnel."""
        opened = self._tunnel.connect()
        opened.settimeout(timeout)
        return opened


def open_client(tunnel: "Tunnel", daemon: FoundDaemon, timeout: float) -> DaemonClient:
    """Requests to the daemon that a tunnel leads to, each with at most `timeout` seconds."""
    endpoint = TunnelEndpoint(tunnel)
    return DaemonClient(endpoint, username=daemon.username, password=daemon.password, timeout=timeout)
