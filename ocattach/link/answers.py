"""What a link says of its daemon and of the connection to it."""

from typing import TYPE_CHECKING, Any

from ocattach.daemon.probe import FoundDaemon
from ocattach.link.restorer import Restorer

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel


def connected(tunnel: "Tunnel") -> str:
    """Which way was taken, as a progress line."""
    return "Connected directly" if tunnel.route_name == "direct" else f"Connected through {tunnel.route_name}"


def daemon_answer(daemon: FoundDaemon, tunnel: "Tunnel", version: str) -> dict[str, Any]:
    """The daemon, and where it is reached; nothing secret."""
    return {
        "url": tunnel.url,
        "route": tunnel.route_name,
        "port": daemon.port,
        "pid": daemon.pid or None,
        "version": version,
    }


def connection_answer(tunnel: "Tunnel", restorer: Restorer) -> dict[str, Any]:
    """How the connection stands and who uses it; `round_trip` is in seconds."""
    return {
        "state": restorer.state.value,
        "reason": restorer.error.message if restorer.error else tunnel.lost,
        "clients": tunnel.active_connections,
        "held": tunnel.held,
        "round_trip": tunnel.round_trip,
    }
