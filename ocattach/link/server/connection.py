"""The connection of a link to its daemon: transport, local port and daemon."""

from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.link.server.tunnel_endpoint import open_client
from ocattach.opencode.api import TRY_SECONDS, DaemonClient
from ocattach.transports.base import TransportHandler

if TYPE_CHECKING:
    from ocattach.daemon.probe import FoundDaemon
    from ocattach.tunnel.tunnel import Tunnel


class DaemonConnection:
    """Its parts are set one after the other. The local port stays open until `drop`.

    Only one thread at a time changes it. Any thread may read it.
    """

    def __init__(self, state: StateMachine) -> None:
        self._state = state
        self.handler: TransportHandler | None = None
        self.tunnel: Tunnel | None = None
        self.daemon: FoundDaemon | None = None
        self.version = ""
        """The version of the daemon, as last seen."""

        self.directories: dict[str | None, str | None] = {}
        """The absolute paths of the working directories that are ready."""
        self.is_environment_up = False
        """Whether the transport works, though the daemon may not. Then it stays connected, without a new log-in."""

    @property
    def idle_seconds(self) -> float | None:
        """How long no client has been connected; None without a port."""
        tunnel = self.tunnel
        return None if tunnel is None else tunnel.idle_seconds

    def is_up(self) -> bool:
        """Return whether the daemon can be reached."""
        return self.tunnel is not None and self._state.state is LinkState.CONNECTED

    def may_recover(self) -> bool:
        """Return whether the connection is established or being established."""
        return self.tunnel is not None and self._state.state is not LinkState.LOST

    def open_client(self, timeout: float = TRY_SECONDS, *, counts_as_loss: bool = True) -> DaemonClient:
        """Return a client of the current daemon; `counts_as_loss` as in `tunnel_endpoint.open_client`.

        Raises ConnectionLostError.
        """
        daemon, tunnel = self.daemon, self.tunnel
        if daemon is None or tunnel is None:
            raise ConnectionLostError("There is no connection to the daemon")
        return open_client(tunnel, daemon, timeout, counts_as_loss=counts_as_loss)

    def make_ready(self, handler: TransportHandler, spec: ConnectionSpec, *, timeout: float) -> str | None:
        """Wait until the daemon answers for the connection's directory. Returns its absolute path."""
        client = self.open_client()
        if spec.workdir in self.directories:
            self.version = client.await_version(timeout=timeout, may_recover=self.may_recover)
            return self.directories[spec.workdir]
        directory = handler.workdir
        try:
            self.version = client.await_ready(directory, timeout=timeout, may_recover=self.may_recover)
        except TimedOutError as error:
            if self.tunnel is None or self._state.state is not LinkState.LOST:
                raise
            raise ConnectionLostError(f"The connection was lost: {self._state.reason}") from error
        self.directories[spec.workdir] = directory
        return directory

    def use(self, tunnel: "Tunnel") -> None:
        """The port uses a new route. A loss that was reported before may have been that of the former one."""
        self.tunnel, self.is_environment_up = tunnel, True
        self._state.begin()
        if tunnel.lost is not None:
            self.notice_loss()
            self._state.lose(tunnel.lost)

    def finish(self, tunnel: "Tunnel", port: int) -> None:
        """The daemon has answered. Raises ConnectionLostError if the connection was lost since."""
        if not self._state.move(LinkState.CONNECTED, reason=f"through {tunnel.route_name} to port {port}"):
            raise ConnectionLostError(f"The connection was lost: {self._state.reason}")

    def notice_loss(self) -> None:
        """Keep the transport's connection if only the daemon is gone."""
        self.is_environment_up = self.tunnel is not None and self.tunnel.port_closed

    def reject(self, reason: str) -> None:
        """Drop the route: its daemon has another password, so another one has taken its place.

        The next request looks for that. This link did not notice when the former one ended: no client used it.
        """
        self.is_environment_up = True
        if self.tunnel is not None:
            self.tunnel.give_up(reason)
        self._state.lose(reason)

    def release_route(self, reason: str) -> None:
        """Close the route and the transport's connection, and keep the local port."""
        if self.tunnel is not None:
            self.tunnel.give_up(reason)
        if self.handler is not None:
            self.handler.disconnect()

    def drop(self, *, keep_handler: bool = False) -> None:
        """Close tunnel and transport. The daemon keeps running. `keep_handler`: other things use the transport."""
        handler = None if keep_handler else self.handler
        self.handler = self.handler if keep_handler else None
        tunnel, self.tunnel = self.tunnel, None
        self.daemon = None
        self.directories.clear()
        if tunnel is not None:
            tunnel.close()
        if handler is not None:
            handler.disconnect()
