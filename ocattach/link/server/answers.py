"""The shapes of a link's answers."""

from typing import TYPE_CHECKING, Any

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import ConnectionLostError
from ocattach.link.server.connection import DaemonConnection
from ocattach.link.server.credential import Credential
from ocattach.link.server.state import StateMachine

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel


def connected(tunnel: "Tunnel") -> str:
    """Return the progress line for the route that was chosen."""
    return "Connected directly" if tunnel.route_name == "direct" else f"Connected through {tunnel.route_name}"


def daemon_answer(daemon: FoundDaemon, tunnel: "Tunnel", version: str) -> dict[str, Any]:
    """Describe the daemon and its URL, without secrets."""
    return {
        "url": tunnel.url,
        "route": tunnel.route_name,
        "port": daemon.port,
        "pid": daemon.pid or None,
        "version": version,
    }


def attached_answer(
    connection: DaemonConnection, credential: Credential, workdir: str | None
) -> dict[str, Any]:
    """Return the values of `foreground.Attachment` that the connection determines. Raises ConnectionLostError."""
    daemon, tunnel, handler = connection.daemon, connection.tunnel, connection.handler
    if daemon is None or tunnel is None or handler is None:
        raise ConnectionLostError("There is no connection to the daemon")
    return {
        **daemon_answer(daemon, tunnel, connection.version),
        **credential.to_json(),
        "workdir": connection.directories.get(workdir),
        "shares_files": handler.shares_files,
    }


def connection_answer(tunnel: "Tunnel", connection: StateMachine) -> dict[str, Any]:
    """Describe the state of the connection and its clients; `round_trip` is in seconds."""
    state, reason = connection.snapshot()
    return {
        "state": state.value,
        "reason": reason,
        "clients": tunnel.active_connections,
        "held": tunnel.held,
        "round_trip": tunnel.round_trip,
    }
