"""The port of this machine that users' programs connect to, as an object for code that knows no event loop."""

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from ocattach.errors import ConnectionLostError
from ocattach.tunnel.event_stream import StreamResumer
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.limits import Events, Limits
from ocattach.tunnel.listener import Listener
from ocattach.tunnel.route import Route
from ocattach.tunnel.target import Target


class Tunnel:
    """A port of 127.0.0.1 that leads to a port in an environment.

    Made once the port is open and the route has started, within `timeout` seconds; otherwise an OcattachError is
    raised and nothing is left behind. `remote_host` is an address within the environment, for routes that leave a
    choice. Without a route the port leads nowhere yet.

    The local port stays open until `close`, whatever becomes of the route. When the route is lost, its clients are
    told (`client.Client`), and so is `events.on_lost`. New clients are then held unread, as far as `limits` allow,
    until `switch_route` brings another route; who is held for too long gets an HTTP error. The streams of events that
    `keeper` names go on over the next route as if nothing had been, with what they have missed told by it.
    """

    def __init__(
        self,
        route: Route | None = None,
        remote_port: int = 0,
        *,
        remote_host: str = "127.0.0.1",
        timeout: float = 10,
        limits: Limits | None = None,
        events: Events | None = None,
        keeper: StreamResumer | None = None,
        gate: Gate | None = None,
        ports: Sequence[int] = (),
    ) -> None:
        self._target = None if route is None else Target(route, remote_port, remote_host)
        self._listener = Listener(limits or Limits(), events or Events(), keeper, gate)
        self._ports = ports
        self._listening: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._loop = asyncio.new_event_loop()
        self._main = self._loop.create_task(self._serve(self._target, timeout))
        self._thread = threading.Thread(target=self._run, name="ocattach-tunnel", daemon=True)
        self._closing = threading.Lock()
        self._closed = False
        self._unadmitted: set[socket.socket] = set()
        """Sockets on their way to the loop: they are closed when it has ended before they arrive."""
        self._thread.start()
        try:
            self._port = self._listening.result()
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        """The local port."""
        return self._port

    @property
    def url(self) -> str:
        """Where an HTTP client finds what is at the other end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def remote_port(self) -> int:
        """The port in the environment."""
        return 0 if self._target is None else self._target.port

    @property
    def route_name(self) -> str:
        """Which way the connections go: `relay`, `ssh`, `direct`."""
        return "" if self._target is None else self._target.route.name

    @property
    def active_connections(self) -> int:
        """How many clients are connected, held ones included."""
        return self._listener.client_count

    @property
    def idle_seconds(self) -> float:
        """How long no client has been connected; 0 while one is."""
        last_closed = self._listener.last_closed
        return 0.0 if self.active_connections else time.monotonic() - last_closed

    @property
    def lost(self) -> str | None:
        """Why the route is gone; None while it is not."""
        return self._listener.lost

    @property
    def port_closed(self) -> bool:
        """Whether only the far port was lost, and the way to it still stands."""
        return self.lost is not None and self._listener.port_closed

    @property
    def round_trip(self) -> float | None:
        """How long an answer from the environment takes, in seconds, where the route measures it."""
        return None if self._target is None else self._target.route.round_trip

    @property
    def held(self) -> int:
        """How many clients wait for a route."""
        return self._listener.held

    @property
    def released(self) -> int:
        """How many clients had waited for the present route."""
        return self._listener.released

    def check(self) -> None:
        """Find out soon whether the far side is still there, say after this machine has slept.

        Returns at once; what comes of it is seen in `lost`.
        """
        self._tell(self._listener.check)

    def give_up(self, reason: str) -> None:
        """Use the route no more; its clients are told, new ones are held."""
        self._listener.lost = self._listener.lost or reason  # at once, for who asks
        self._tell(self._listener.give_up, reason)

    def refuse(self, reason: str) -> None:
        """Refuse clients at once, for this reason, until there is another route."""
        self._tell(self._listener.refuse, reason)

    def hold(self) -> None:
        """Hold clients until `release`, whether there is a route or not: a daemon that starts loses requests."""
        self._tell(self._listener.hold)

    def release(self) -> None:
        """Let the clients that are held have the route."""
        self._tell(self._listener.release)

    def connect(self, *, counts_as_loss: bool = True) -> socket.socket:
        """A connection of this program's own to where the tunnel leads; it is refused instead of held.

        That it cannot be had is a sign that the route is lost, unless nobody is to draw that conclusion.
        Raises ConnectionRefusedError when the tunnel is closed.
        """
        if self._closed:
            raise ConnectionRefusedError("the tunnel is closed")
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._unadmitted.add(theirs)
        try:
            self._loop.call_soon_threadsafe(self._admit, theirs, counts_as_loss)
        except RuntimeError:  # the loop has ended already
            ours.close()
            theirs.close()
            raise ConnectionRefusedError("the tunnel is closed") from None
        return ours

    def _admit(self, connection: socket.socket, counts_as_loss: bool) -> None:
        self._unadmitted.discard(connection)
        self._listener.admit(connection, counts_as_loss)

    def _tell(self, what: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(what, *arguments)

    def switch_route(
        self, route: Route, remote_port: int, *, remote_host: str = "127.0.0.1", timeout: float = 10
    ) -> None:
        """Go on with another route on the same local port; clients of the former one lose it, held ones are served.

        Raises an OcattachError when the route does not start within `timeout` seconds; it is closed then.
        """
        target = Target(route, remote_port, remote_host)
        if self._closed:
            asyncio.run(route.close())
            raise ConnectionLostError("The tunnel is closed.")
        switch = asyncio.run_coroutine_threadsafe(
            self._listener.switch_route(target, within=timeout), self._loop
        )
        try:
            switch.result()
        except concurrent.futures.CancelledError as error:
            raise ConnectionLostError("The tunnel was closed meanwhile.") from error
        self._target = target

    def close(self) -> None:
        """Reset the clients, close port, route and thread. Closing twice is harmless."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._tell(self._main.cancel)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass  # that is how `close` ends it
        except BaseException as error:
            if self._listening.done():
                raise
            self._listening.set_exception(error)
        finally:
            self._loop.close()  # from now on `connect` closes what it made
            for connection in list(self._unadmitted):
                connection.close()

    async def _serve(self, target: Target | None, within: float) -> None:
        try:
            if target is not None:
                await self._listener.switch_route(target, within=within)
            self._listening.set_result(await self._listener.listen(self._ports))
            await asyncio.Event().wait()
        finally:
            await self._listener.close()
