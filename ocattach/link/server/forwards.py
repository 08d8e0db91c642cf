"""The ports of an environment besides the daemon's: lists them, and forwards those that the user names."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon.ports import ListeningPorts, list_ports
from ocattach.errors import ConnectionLostError, OcattachError, UsageError
from ocattach.link.messages import MessageChannel
from ocattach.link.server.connection import DaemonConnection
from ocattach.link.server.daemon_starter import AttachClient, command_name
from ocattach.link.server.deadline_lock import taken
from ocattach.link.server.history import History
from ocattach.link.server.local_port import Forward, Wanted, open_local_port
from ocattach.link.server.log import logged_error
from ocattach.link.server.reconnector import Reconnector, Unattended
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.link.server.variables import adopt
from ocattach.printable import command_line
from ocattach.transports import open_handler
from ocattach.transports.command import CommandTransport
from ocattach.tunnel.limits import Events, Limits

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel

DIAL_SECONDS = 15.0
"""How long one try to restore the connection may take."""

LIST_SECONDS = 10.0
LOOK_SECONDS = 0.3
"""How often to look whether the connection was lost, and whether the command that forwards ports has ended."""


class Forwards:
    """Lists and forwards ports over the connection that the transport of a link has.

    Forwarded ports have a relay to themselves: they need no daemon, survive its end, and their traffic does not delay
    TUIs. The program behind a port may belong to any account there, unlike a daemon: the user has named the port, and
    nothing is sent to it but what clients send. A lost connection is restored while ports are forwarded.
    """

    def __init__(self, connection: DaemonConnection, lock: threading.Lock, limits: Limits) -> None:
        """`lock` is held while the handler of the connection is used."""
        self._connection, self._lock, self._limits = connection, lock, limits
        self._history = History("forwarded ports: ")
        self._state = StateMachine(self._history)
        self._tunnel: Tunnel | None = None
        self._reconnector: Reconnector | None = None
        self._spec: ConnectionSpec | None = None
        self._open: list[Forward] = []
        self._closed = threading.Event()

    @property
    def is_connected(self) -> bool:
        """Whether ports are forwarded over a connection that works."""
        return self._tunnel is not None and self._state.state is LinkState.CONNECTED

    def all_ports(
        self, spec: ConnectionSpec, client: AttachClient, *, timeout: float
    ) -> list[dict[str, Any]]:
        """Return the sockets on which programs listen there, as JSON objects; `forwarded` is the local port."""
        with taken(self._lock, timeout) as left:
            adopt(client.environ)
            found = list_ports(self._handler(spec, client, left).run, timeout=LIST_SECONDS)
        local = {each.port: each.local for each in self._open}
        return [
            {**each.to_json(), "forwarded": local.get(each.port) if each.is_on_loopback else None}
            for each in found.ports
        ]

    def serve(
        self,
        channel: MessageChannel,
        spec: ConnectionSpec,
        client: AttachClient,
        wanted: Sequence[Wanted],
        *,
        timeout: float,
    ) -> None:
        """Forward ports until the command at the other end of the channel ends, and report losses to it.

        Raises HungUpError, and errors of connecting, also later if only a person can restore the connection.
        """
        with taken(self._lock, timeout) as left:
            adopt(client.environ)
            found = self._connect_and_list(spec, client, left)
            opened = self._bind(wanted, found)
        try:
            channel.send({"forwards": [each.to_json(found) for each in opened]})
            self._report(channel)
        finally:
            self._end(opened)

    def close(self) -> None:
        """End all forwards."""
        self._closed.set()
        if self._reconnector is not None:
            self._reconnector.end()
        if self._tunnel is not None:
            self._tunnel.close()

    def _report(self, channel: MessageChannel) -> None:
        was_up = True
        while not (self._closed.is_set() or channel.has_ended(within=LOOK_SECONDS)):
            if self._state.error is not None:
                raise self._state.error
            if self.is_connected != was_up:
                was_up = self.is_connected
                channel.send({"is_up": was_up, "reason": self._state.reason})

    def _handler(self, spec: ConnectionSpec, client: AttachClient, timeout: float) -> CommandTransport:
        """Return the link's handler, connected to the environment."""
        connection = self._connection
        handler = connection.handler or open_handler(spec, ask=client.ask, timeout=timeout)
        if not isinstance(handler, CommandTransport):
            raise UsageError(f"{spec.title()} has no ports: only OpenCode's URL is known")
        connection.handler = handler
        handler.ask, handler.timeout = client.ask, timeout
        if not (connection.is_up() or self.is_connected):
            client.step(handler.check_available().summary)
        return handler

    def _connect_and_list(
        self, spec: ConnectionSpec, client: AttachClient, timeout: float
    ) -> ListeningPorts | None:
        """Connect, and return what listens there; None if that cannot be seen."""
        self._spec = spec
        if not self.is_connected:
            self._connect(spec, client, timeout)
        with suppress(OcattachError):
            return list_ports(self._handler(spec, client, timeout).run, timeout=LIST_SECONDS)
        return None

    def _connect(self, spec: ConnectionSpec, client: AttachClient, timeout: float) -> None:
        """Switch the tunnel to a new relay."""
        self._state.begin()
        try:
            handler = self._handler(spec, client, timeout)
            if self._tunnel is None:
                self._tunnel = self._new_tunnel()
            client.doing("Starting a relay for the ports")
            handler.connect_ports(self._tunnel)
        except BaseException as error:
            if self._connection.handler is not None and not self._connection.is_up():
                self._connection.handler.disconnect()  # the next attempt dials again
            self._state.lose(logged_error(error).message)
            raise
        if not self._state.move(LinkState.CONNECTED):
            raise ConnectionLostError(f"The connection was lost: {self._state.reason}")

    def _new_tunnel(self) -> "Tunnel":
        from ocattach.tunnel.tunnel import Tunnel  # noqa: PLC0415 - asyncio, loaded during an ssh login

        if self._reconnector is None:
            self._reconnector = Reconnector(
                self._restore,
                state=self._state,
                is_wanted=lambda: bool(self._open),
                give_up=self._state.give_up,
            )
        events = Events(on_lost=self._notice_loss, on_held=self._reconnector.retry_now)
        return Tunnel(limits=self._limits, events=events, ports=None)

    def _notice_loss(self, reason: str) -> None:
        self._state.lose(reason)
        if self._reconnector is not None:
            self._reconnector.retry_now()

    def _restore(self) -> None:
        with taken(self._lock, DIAL_SECONDS):
            if self._spec is None or self._tunnel is None or self._state.state is not LinkState.LOST:
                return
            command = command_line("ocattach", "forward", command_name(self._spec))
            self._connect(self._spec, Unattended(self._history, command), DIAL_SECONDS)

    def _bind(self, wanted: Sequence[Wanted], found: ListeningPorts | None) -> list[Forward]:
        opened: list[Forward] = []
        try:
            for each in wanted:
                if self._tunnel is None:
                    raise ConnectionLostError("The link is ending")
                opened.append(open_local_port(self._tunnel, each, self._is_own_network(found)))
        finally:
            self._open += opened
            if len(opened) < len(wanted):
                self._close_ports(opened)
        return opened

    def _is_own_network(self, found: ListeningPorts | None) -> bool:
        is_this_machine = self._spec is not None and self._spec.target.is_this_machine
        return is_this_machine or (found is not None and found.is_own_network)

    def _end(self, opened: Sequence[Forward]) -> None:
        """Close ports at once, and the relay with the last of them."""
        if self._tunnel is not None:
            for each in opened:
                self._tunnel.end_forward(each.local)
        with self._lock:
            self._close_ports(opened)

    def _close_ports(self, opened: Sequence[Forward]) -> None:
        self._open = [each for each in self._open if each not in opened]
        tunnel = self._tunnel
        if tunnel is not None:
            for each in opened:
                tunnel.end_forward(each.local)
        if tunnel is not None and not self._open:
            self._tunnel = None
            self._state.lose("no port is forwarded any more")
            tunnel.close()
