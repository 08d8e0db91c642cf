"""The way from a link to its daemon: handler, local port and daemon, and what is known of them."""

from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.link.server.port import open_client
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.opencode.api import TRY_SECONDS, DaemonClient
from ocattach.transports.base import TransportHandler

if TYPE_CHECKING:
    from ocattach.daemon.probe import FoundDaemon
    from ocattach.tunnel.tunnel import Tunnel


class DaemonConnection:
    """Its parts come one after the other; once there, the local port stays until `drop`.

    One thread at a time changes it. Any may ask how it stands.
    """

    def __init__(self, state: StateMachine) -> None:
        self._state = state
        self.handler: TransportHandler | None = None
        self.tunnel: Tunnel | None = None
        """The local port, and where that leads."""

        self.daemon: FoundDaemon | None = None
        self.version = ""
        """The daemon's, as it was last heard."""

        self.directories: dict[str | None, str | None] = {}
        """The working directories that were seen to be ready, and their absolute paths there."""

        self.stands = False
        """Whether only the daemon is gone: a host that asks for a password need not be logged in to again."""

    @property
    def idle_seconds(self) -> float | None:
        """How long no client has been connected; None while there is no port."""
        tunnel = self.tunnel
        return None if tunnel is None else tunnel.idle_seconds

    def is_up(self) -> bool:
        """Whether there is a way to the daemon."""
        return self.tunnel is not None and self._state.state is LinkState.CONNECTED

    def has_hope(self) -> bool:
        """Whether the way that is being established, or is used, may still lead to the daemon."""
        return self.tunnel is not None and self._state.state is not LinkState.LOST

    def open_client(self, timeout: float = TRY_SECONDS, *, counts_as_loss: bool = True) -> DaemonClient:
        """Requests to the daemon as it is now; `counts_as_loss` as in `port.open_client`.

        Raises ConnectionLostError.
        """
        daemon, tunnel = self.daemon, self.tunnel
        if daemon is None or tunnel is None:
            raise ConnectionLostError("There is no connection to the daemon")
        return open_client(tunnel, daemon, timeout, counts_as_loss=counts_as_loss)

    def make_ready(self, handler: TransportHandler, spec: ConnectionSpec, *, timeout: float) -> str | None:
        """See that the daemon answers for the connection's directory, whose absolute path there is given."""
        client = self.open_client()
        if spec.workdir in self.directories:
            self.version = client.await_version(timeout=timeout, has_hope=self.has_hope)
            return self.directories[spec.workdir]
        directory = handler.workdir
        try:
            self.version = client.await_ready(directory, timeout=timeout, has_hope=self.has_hope)
        except TimedOutError as error:
            if self.tunnel is None or self._state.state is not LinkState.LOST:
                raise
            raise ConnectionLostError(f"The connection was lost: {self._state.reason}") from error
        self.directories[spec.workdir] = directory
        return directory

    def notice_loss(self) -> None:
        """It is gone; keep what of it can be used again."""
        self.stands = self.tunnel is not None and self.tunnel.port_closed

    def release_route(self, reason: str) -> None:
        """Part with what is left of it, and keep the local port."""
        if self.tunnel is not None:
            self.tunnel.give_up(reason)
        if self.handler is not None:
            self.handler.disconnect()

    def drop(self) -> None:
        """Let go of tunnel and handler; the daemon goes on."""
        handler, self.handler = self.handler, None
        tunnel, self.tunnel = self.tunnel, None
        self.daemon = None
        self.directories.clear()
        if tunnel is not None:
            tunnel.close()
        if handler is not None:
            handler.disconnect()
