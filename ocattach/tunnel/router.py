"""The current route of a tunnel: clients are connected over it, and wait while there is none."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from ocattach.errors import ConnectionLostError, OcattachError, PortClosedError, TimedOutError
from ocattach.tunnel.client import Client
from ocattach.tunnel.early import EarlyConnection
from ocattach.tunnel.gated import GatedClient
from ocattach.tunnel.limits import Events, Limits
from ocattach.tunnel.route import Route, Target, close_route, is_gone

log = logging.getLogger(__name__)


class Router:
    """Switches routes, and connects clients over the current one.

    Belongs to one event loop; public attributes may be read from any thread. `on_dropped` is called when the current
    route is dropped, before it is closed.
    """

    def __init__(self, limits: Limits, events: Events, on_dropped: Callable[[], None]) -> None:
        self.target: Target | None = None
        self.lost: str | None = None
        self.port_closed = False
        """Whether only the daemon's port was lost, while its route still works."""
        self.held = 0
        """The number of clients held."""
        self.released = 0
        """The number of held clients that the current route was given."""
        self.refusing: str | None = None
        """Why clients are refused; None: they are held."""
        self.changed = asyncio.Event()
        """Set when held clients have to look again."""
        self._limits = limits
        self._events = events
        self._on_dropped = on_dropped
        self._is_holding = False
        self._last: Target | None = None
        """The route at the time of `stop`."""
        self._switches: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def hold(self) -> None:
        """Hold new clients even with a route, since the daemon behind it is not ready yet."""
        self._is_holding = True

    def release(self) -> None:
        """Give held clients the route."""
        self._is_holding = False
        self.released = self.held
        self.changed.set()

    async def switch_route(self, target: Target, *, within: float) -> None:
        """Start the target's route and switch to it; a route that does not start is closed and changes nothing."""
        switch = asyncio.get_running_loop().create_task(self._switch(target, within))
        self._switches.add(switch)
        try:
            await switch
        finally:
            self._switches.discard(switch)

    def give_up(self, reason: str) -> None:
        """Drop the route as if it were lost, without calling `on_lost`."""
        if self.target is not None:
            self._drop_route(self.target, reason)

    def refuse(self, reason: str) -> None:
        """Refuse held and new clients until there is a route."""
        self.refusing = reason
        self.changed.set()

    def check(self) -> None:
        """Check soon whether the route still works."""
        if self.target is not None:
            self.target.route.check()

    def stop(self) -> None:
        """Connect no more clients, and end the switches that are under way."""
        for switch in self._switches:
            switch.cancel()
        self._last, self.target = self.target, None

    async def close(self) -> None:
        """Close the route after `stop`, and wait for the end of all routes."""
        if self._last is not None:
            self._close_route(self._last.route)
        if ending := self._switches | self._closing:
            await asyncio.wait(ending)

    async def dial_early(self) -> EarlyConnection | None:
        """Open a connection for a client that has yet to send a request.

        Returns None without a route, and if the connection fails: the request then finds out why.
        """
        target = self._target_now()
        if target is None:
            return None
        early = EarlyConnection(target)
        try:
            await early.dial()
        except Exception:  # whatever it is, the request's own dial ends in the same and reports it
            log.debug("There is no early connection", exc_info=True)
            return None
        return early

    async def connect(
        self,
        client: Client,
        *,
        early: EarlyConnection | None = None,
        internal: bool = False,
        counts_as_loss: bool = True,
    ) -> None:
        """Connect a client over the current route, or the next one; an internal client does not wait for one.

        `early` is used if it is still open. Raises OcattachError and OSError.
        """
        while True:
            target = self._target_now(internal=internal) or await self._await_target()
            try:
                if early is None or not early.hand_over(client, target):
                    await target.dial(client)
            except (OcattachError, OSError) as error:
                # Nothing was read from the client: another route, or the next daemon, can serve it.
                if counts_as_loss and target.has_answered and is_gone(error) and target is self.target:
                    self.port_closed = isinstance(error, PortClosedError | ConnectionRefusedError)
                    self._lose_route(target, str(error))
                elif target is self.target and not target.route.lost.done():
                    if isinstance(error, TimeoutError):
                        raise TimedOutError("no answer") from error
                    raise
            else:
                target.has_answered = True
                if isinstance(client, GatedClient):
                    client.upstream = target.route.upstream
                return

    async def _switch(self, target: Target, within: float) -> None:
        target.route.dead_after = self._limits.dead_after
        try:
            await target.route.start(within=within)
        except BaseException:
            await close_route(target.route)
            raise
        self.give_up("The tunnel switched to another route.")
        self.target, self.lost, self.refusing, self.released = target, None, None, self.held
        target.route.lost.add_done_callback(partial(self._notice_loss, target))
        self.changed.set()

    def _notice_loss(self, target: Target, reason: asyncio.Future[str]) -> None:
        if target is self.target:
            self.port_closed = False
            self._lose_route(target, reason.result())

    def _lose_route(self, target: Target, reason: str) -> None:
        self._drop_route(target, reason)
        self._events.on_lost(reason)

    def _drop_route(self, target: Target, reason: str) -> None:
        self.target, self.lost = None, reason
        self._on_dropped()
        self._close_route(target.route)

    def _close_route(self, route: Route) -> None:
        closing = asyncio.get_running_loop().create_task(close_route(route))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _target_now(self, *, internal: bool = False) -> Target | None:
        target = self.target
        is_there = target is not None and not target.route.lost.done()
        if internal and not is_there:
            raise ConnectionLostError(self.lost or "there is no route")
        return target if is_there and (internal or not self._is_holding) else None

    async def _await_target(self) -> Target:
        while (target := self._target_now()) is None:
            if self.refusing is not None:
                raise ConnectionLostError(self.refusing)
            if self.held >= self._limits.held_clients:
                raise ConnectionLostError(f"{self.held} requests already wait for the environment")
            self.held += 1
            self._events.on_held()
            try:
                self.changed.clear()
                await self.changed.wait()
            finally:
                self.held -= 1
        return target
