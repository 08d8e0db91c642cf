"""The port that a link keeps open, and requests of the link's own to where it leads."""

import shlex
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon.probe import FoundDaemon
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import Endpoint

if TYPE_CHECKING:
    from ocattach.tunnel.gate import Gate
    from ocattach.tunnel.limits import Events, Limits
    from ocattach.tunnel.tunnel import Tunnel


def open_port(
    spec: ConnectionSpec,
    connect: Callable[[float], DaemonClient],
    limits: "Limits",
    events: "Events",
    on_creation: Callable[[], object],
    *,
    gate: "Gate",
    ports: Sequence[int],
) -> "Tunnel":
    """A port that leads nowhere yet, and keeps what TUIs show whole; `connect` takes seconds for a request.

    `on_creation` is called when a client asks for a new session.
    """
    from ocattach.opencode.tui.resumer import REQUEST_SECONDS, Resync  # noqa: PLC0415 - when there is a tunnel to keep
    from ocattach.tunnel.tunnel import Tunnel  # noqa: PLC0415 - see `import_tunnel`

    command = f"ocattach {shlex.quote(spec.name or spec.display())}"
    keeper = Resync(lambda: connect(REQUEST_SECONDS), command=command, on_creation=on_creation)
    return Tunnel(limits=limits, events=events, keeper=keeper, gate=gate, ports=ports)


class TunnelEndpoint(Endpoint):
    """Where a tunnel leads, without its local port: it can be looked at before anybody else is let through."""

    def __init__(self, tunnel: "Tunnel", *, counts_as_loss: bool) -> None:
        super().__init__(tunnel.url)
        self._tunnel = tunnel
        self._is_sign = counts_as_loss

    def open_socket(self, timeout: float) -> socket.socket:
        """A connection through the tunnel."""
        opened = self._tunnel.connect(counts_as_loss=self._is_sign)
        opened.settimeout(timeout)
        return opened


def open_client(
    tunnel: "Tunnel", daemon: FoundDaemon, timeout: float, *, counts_as_loss: bool = True
) -> DaemonClient:
    """Requests to the daemon that a tunnel leads to, each with at most `timeout` seconds.

    That one cannot be made is a sign for the tunnel that its way is lost, unless nobody is to draw that conclusion.
    """
    endpoint = TunnelEndpoint(tunnel, counts_as_loss=counts_as_loss)
    return DaemonClient(endpoint, username=daemon.username, password=daemon.password, timeout=timeout)
