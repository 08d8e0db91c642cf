"""What a link answers about its environment."""

from typing import TYPE_CHECKING, Any

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import ConnectionLostError
from ocattach.link.server.connection import DaemonConnection
from ocattach.link.server.history import History
from ocattach.link.server.log import logged_error
from ocattach.link.server.port import LocalAccess
from ocattach.link.server.state import StateMachine
from ocattach.link.sessions.listener import SessionEventListener
from ocattach.opencode.snapshot import LOOK_SECONDS, snapshot

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


class Answers:
    """The answers about the environment that a link holds. Giving one changes nothing."""

    def __init__(
        self,
        connection: DaemonConnection,
        state: StateMachine,
        listener: SessionEventListener,
        access: LocalAccess,
        history: History,
    ) -> None:
        self._connection = connection
        self._state = state
        self._listener = listener
        self._access = access
        self._history = history

    def attached(self, workdir: str | None, *, started: bool) -> dict[str, Any]:
        """Return what the command line needs to use the daemon. Raises ConnectionLostError."""
        connection = self._connection
        daemon, tunnel, handler = connection.daemon, connection.tunnel, connection.handler
        if daemon is None or tunnel is None or handler is None:
            raise ConnectionLostError("There is no connection to the daemon")
        return {
            **daemon_answer(daemon, tunnel, connection.version),
            **self._access.credential.to_json(),
            "workdir": connection.directories.get(workdir),
            "shares_files": handler.shares_files,
            "started": started,
            "waiting": self._listener.feed.waiting,
            "history": self._history.to_json(),
        }

    def status(self) -> dict[str, Any]:
        """Return the state for `--status`. Never blocks."""
        history = {"history": self._history.to_json()}
        daemon, tunnel = self._connection.daemon, self._connection.tunnel
        if daemon is None or tunnel is None:
            return {"state": None, **history}
        connection = connection_answer(tunnel, self._state)
        return {**daemon_answer(daemon, tunnel, self._connection.version), **connection, **history}

    def daemon(self) -> dict[str, Any] | None:
        """Return the values of `queries.LinkedDaemon`; None without a connection. Changes nothing."""
        daemon, tunnel = self._connection.daemon, self._connection.tunnel
        if daemon is None or tunnel is None or not self._connection.is_up():
            return None
        return {
            "url": tunnel.url,
            "version": self._connection.version,
            "idle_directories": list(self._listener.idle_directories()),
            **self._access.credential.to_json(),
        }

    def login(self) -> str | None:
        """Return the `shared_login` of the transport; None without a connection. Changes nothing."""
        handler = self._connection.handler
        return handler.shared_login() if handler is not None else None

    def snapshot(self, directories: list[str | None], since: int | None) -> dict[str, Any] | None:
        """Return `DaemonSnapshot.to_json` or the `error`; None without a connection. Changes nothing."""
        tunnel = self._connection.tunnel
        if tunnel is None or not self._connection.is_up():
            return None
        client = self._connection.open_client(LOOK_SECONDS)
        client.idle_directories = self._listener.idle_directories()
        try:
            return snapshot(client, directories, since=since).to_json()
        except Exception as error:  # noqa: BLE001 - whatever it is, the link's status is answered
            return {"error": logged_error(error).to_json()}
