"""The local port that users' programs connect to, for code without an event loop."""

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence

from ocattach.errors import ConnectionLostError
from ocattach.execution import on_error
from ocattach.tunnel.event_stream import StreamResumer
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.limits import Events, Limits
from ocattach.tunnel.listener import Listener
from ocattach.tunnel.prompt import PromptRecovery
from ocattach.tunnel.route import Route, Target

OPEN_SECONDS = 5.0
"""Time for the event loop to open a local port."""

ACCEPTED_SECONDS = 1.0
"""Time to reset what was accepted just before the port was closed."""


class Tunnel(contextlib.AbstractContextManager["Tunnel"]):
    """A port of 127.0.0.1 connected to a port in an environment.

    The constructor returns when the port is open and the route has started, and raises an OcattachError if that takes
    more than `timeout` seconds or fails. `remote_host` is an address within the environment, for routes that can
    choose it. Without a route, clients are held.

    The local port stays open until `close`. When the route is lost, its clients get an error (`client.Client`) and
    `events.on_lost` is called. New clients are then held, within `limits`, until `switch_route`; a client held for
    too long gets an HTTP error. Streams of events that `resumer` handles continue over the next route.

    With a `gate`, clients have to speak HTTP, and each of their requests has to pass it. Prompts that `recovery` knows
    are answered even if the route is lost meanwhile. `ports` are tried in turn as the local port, before any free one;
    None: there is none, for a tunnel that only forwards ports.
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
        resumer: StreamResumer | None = None,
        gate: Gate | None = None,
        recovery: PromptRecovery | None = None,
        ports: Sequence[int] | None = (),
    ) -> None:
        self._target = None if route is None else Target(route, remote_port, remote_host)
        self._listener = Listener(limits or Limits(), events or Events(), resumer, gate, recovery)
        self._ports = ports
        self._listening: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._loop = asyncio.new_event_loop()
        self._main = self._loop.create_task(self._serve(self._target, timeout))
        self._thread = threading.Thread(target=self._run, name="ocattach-tunnel", daemon=True)
        self._closing = threading.Lock()
        self._closed = False
        self._unadmitted: set[socket.socket] = set()
        """Sockets that the loop has not taken yet; closed if it ends before that."""
        self._thread.start()
        with on_error(self.close):
            self.port = self._listening.result()
            """The local port."""

    @property
    def url(self) -> str:
        """The URL of the remote port for HTTP clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def remote_port(self) -> int:
        """The port in the environment."""
        return 0 if self._target is None else self._target.port

    @property
    def route_name(self) -> str:
        """The name of the current route: `relay`, `ssh`, `direct`."""
        return "" if self._target is None else self._target.route.name

    @property
    def active_connections(self) -> int:
        """The number of connected clients, including held ones."""
        return self._listener.client_count

    @property
    def idle_seconds(self) -> float:
        """Seconds without a client; 0 while one is connected."""
        last_closed = self._listener.last_closed
        return 0.0 if self.active_connections else time.monotonic() - last_closed

    @property
    def lost(self) -> str | None:
        """Why the route was lost; None while it works."""
        return self._listener.router.lost

    @property
    def port_closed(self) -> bool:
        """Whether only the daemon's port was lost, while its route still works."""
        return self.lost is not None and self._listener.router.port_closed

    @property
    def round_trip(self) -> float | None:
        """The round trip to the environment in seconds; None where the route does not measure it."""
        return None if self._target is None else self._target.route.round_trip

    @property
    def held(self) -> int:
        """The number of clients that wait for a route."""
        return self._listener.router.held

    @property
    def released(self) -> int:
        """The number of clients that had waited for the current route."""
        return self._listener.router.released

    def check(self) -> None:
        """Check soon whether the route still works, for example after this machine has slept.

        Returns immediately; a loss shows in `lost`.
        """
        self._call_soon(self._listener.router.check)

    def give_up(self, reason: str) -> None:
        """Drop the route: its clients get an error, new ones are held."""
        self._listener.router.lost = self._listener.router.lost or reason  # visible at once to other threads
        self._call_soon(self._listener.router.give_up, reason)

    def refuse(self, reason: str) -> None:
        """Refuse clients for this reason until there is another route."""
        self._call_soon(self._listener.refuse, reason)

    def reset_browsers(self) -> None:
        """Reset the clients that were let in by a cookie (`gate.Browsers`)."""
        self._call_soon(self._listener.reset_browsers)

    def hold(self) -> None:
        """Hold clients until `release`, even with a route: a daemon that is starting loses requests."""
        self._call_soon(self._listener.router.hold)

    def release(self) -> None:
        """Give held clients the route."""
        self._call_soon(self._listener.router.release)

    def connect(self, *, counts_as_loss: bool = True) -> socket.socket:
        """Open a connection of this program itself through the tunnel; it is refused instead of held.

        A failure counts as a loss of the route unless `counts_as_loss` is False.
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

    def _call_soon(self, what: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(what, *arguments)

    def switch_route(
        self, route: Route, remote_port: int, *, remote_host: str = "127.0.0.1", timeout: float = 10
    ) -> None:
        """Switch to another route on the same local port: the old route's clients get an error, held ones are served.

        Raises an OcattachError and closes the route when it does not start within `timeout` seconds.
        """
        target = Target(route, remote_port, remote_host)
        if self._closed:
            asyncio.run(route.close())
            raise ConnectionLostError("The tunnel is closed.")
        switch = asyncio.run_coroutine_threadsafe(
            self._listener.router.switch_route(target, within=timeout), self._loop
        )
        try:
            switch.result()
        except concurrent.futures.CancelledError as error:
            raise ConnectionLostError("The tunnel was closed while it switched routes.") from error
        self._target = target

    def forward(self, port: int, *, local: int | None = None) -> int:
        """Forward the port `local` of 127.0.0.1 to a port of the environment's loopback. Returns `local`.

        Without `local` it is the same port if that is free, else another one. Its connections are spliced byte by byte.
        They are reset when the route is lost, and held without one, as those of the tunnel's own port.
        Raises OSError if `local` is taken or not permitted.
        """
        if self._closed:
            raise ConnectionLostError("The tunnel is closed.")
        opening = asyncio.run_coroutine_threadsafe(self._listener.forward(port, local), self._loop)
        try:
            return opening.result(OPEN_SECONDS)
        except TimeoutError as error:  # the loop has just ended
            raise ConnectionLostError("The tunnel was closed while it opened a port.") from error

    def end_forward(self, local: int) -> None:
        """Close a forwarded port soon, and reset its clients."""
        self._call_soon(self._listener.end_forward, local)

    def close(self) -> None:
        """Reset clients; close the port, route and thread. Closing twice is harmless."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._call_soon(self._main.cancel)
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass  # `close` ends the loop by this
        except BaseException as error:
            if self._listening.done():
                raise
            self._listening.set_exception(error)
        finally:
            self._loop.close()  # from now on `connect` fails
            for connection in list(self._unadmitted):
                connection.close()

    async def _serve(self, target: Target | None, within: float) -> None:
        try:
            if target is not None:
                await self._listener.router.switch_route(target, within=within)
            self._listening.set_result(0 if self._ports is None else await self._listener.listen(self._ports))
            await asyncio.Event().wait()
        finally:
            await self._listener.close()
            if accepted := asyncio.all_tasks() - {self._main}:  # just before the port was closed
                await asyncio.wait(accepted, timeout=ACCEPTED_SECONDS)
            await asyncio.sleep(0)  # the last step of a reset
