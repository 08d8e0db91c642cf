"""What a link says of its daemon and of the connection to it."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import OcattachError
from ocattach.link.server.credential import Credential
from ocattach.link.server.state import StateMachine
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.snapshot import snapshot

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


def client_answer(
    credential: Credential, tunnel: "Tunnel", version: str, still: Collection[str]
) -> dict[str, Any]:
    """What a client needs, in the words of `questions.LinkedDaemon`."""
    return {"url": tunnel.url, "version": version, "still": list(still), **credential.to_json()}


def look_answer(client: DaemonClient, directories: Sequence[str | None], since: int | None) -> dict[str, Any]:
    """What the daemon says it is doing and has, as `Looked.to_json`; or the `error`."""
    try:
        return snapshot(client, directories, since=since).to_json()
    except OcattachError as error:
        return {"error": error.to_json()}


def connection_answer(tunnel: "Tunnel", connection: StateMachine) -> dict[str, Any]:
    """How the connection stands and who uses it; `round_trip` is in seconds."""
    state, reason = connection.snapshot()
    return {
        "state": state.value,
        "reason": reason,
        "clients": tunnel.active_connections,
        "held": tunnel.held,
        "round_trip": tunnel.round_trip,
    }
