"""The local port of a tunnel: takes clients, and joins each with a connection over the route that there is.

Without a route clients are held unread, so that whatever they sent reaches the environment once it is back.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ocattach.errors import ConnectionLostError, OcattachError
from ocattach.tunnel.route import Route
from ocattach.tunnel.splice import End

_BACKLOG = 256
_CLOSE_TIMEOUT = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What the local port leads to."""

    route: Route
    port: int
    host: str


class _Client(End):
    """The end that a local client is on; it is not read before it has been spliced."""

    def __init__(self, on_connected: Callable[[End], None], on_closed: Callable[[End], None]) -> None:
        super().__init__(on_closed=on_closed)
        self._on_connected = on_connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.pause_reading()
        self._on_connected(self)


class Listener:
    """A port of 127.0.0.1 and its clients.

    Lives in one event loop; what is public and no method may be read from any thread.
    """

    def __init__(
        self, *, hold_limit: int, hold_timeout: float, on_lost: Callable[[str], object] | None
    ) -> None:
        self.target: Target | None = None
        self.lost: str | None = None
        self.last_closed = time.monotonic()
        self._hold_limit = hold_limit
        self._hold_timeout = hold_timeout
        self._on_lost = on_lost
        self._server: asyncio.Server | None = None
        self._clients: dict[End, asyncio.Task[None]] = {}
        self._spliced: set[End] = set()
        self._switches: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()
        self._held = 0
        self._available = asyncio.Event()
        self._closed = False
        self._vacant = asyncio.Event()

    @property
    def client_count(self) -> int:
        """How many clients are connected, held ones included."""
        return len(self._clients)

    async def listen(self) -> int:
        """Begin to take clients; gives the port, which stays open until `close`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Client(self._admit, self._dismiss), "127.0.0.1", 0, backlog=_BACKLOG
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def lead_to(self, target: Target, *, within: float) -> None:
        """Start the target's route and use it from now on; what went over the former one is reset.

        When the route does not start, it is closed and everything stays as it was.
        """
        switch = asyncio.get_running_loop().create_task(self._switch(target, within))
        self._switches.add(switch)
        try:
            await switch
        finally:
            self._switches.discard(switch)

    async def close(self) -> None:
        """Reset every client, close the port and the route."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for switch in self._switches:
            switch.cancel()
        target, self.target = self.target, None
        serving = list(self._clients.values())
        for client, task in list(self._clients.items()):
            task.cancel()
            client.reset()
        self._vacant.clear()
        if self._clients:
            await self._vacant.wait()
        if target is not None:
            self._close_route(target.route)
        if ending := self._switches | self._closings | set(serving):
            await asyncio.wait(ending)

    def check(self) -> None:
        """Find out now whether the route is still there."""
        if self.target is not None:
            self.target.route.check()

    async def _switch(self, target: Target, within: float) -> None:
        try:
            await target.route.start(within=within)
        except BaseException:
            await _close(target.route)
            raise
        former, self.target, self.lost = self.target, target, None
        target.route.lost.add_done_callback(partial(self._notice_loss, target))
        self._available.set()
        if former is not None:
            self._reset_spliced()
            self._close_route(former.route)

    def _notice_loss(self, target: Target, reason: asyncio.Future[str]) -> None:
        if target is not self.target:
            return
        self.lost = reason.result()
        self._reset_spliced()
        self._close_route(target.route)
        if self._on_lost is not None:
            self._on_lost(self.lost)

    def _close_route(self, route: Route) -> None:
        closing = asyncio.get_running_loop().create_task(_close(route))
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)

    def _reset_spliced(self) -> None:
        for client in list(self._spliced):
            client.reset()

    def _admit(self, client: End) -> None:
        if self._closed:  # it was accepted just before the port was closed
            client.reset()
            return
        self._clients[client] = asyncio.get_running_loop().create_task(self._serve(client))

    def _dismiss(self, client: End) -> None:
        self._spliced.discard(client)
        serving = self._clients.pop(client, None)
        if serving is not None:
            serving.cancel()
        self.last_closed = time.monotonic()
        if not self._clients:
            self._vacant.set()

    async def _serve(self, client: End) -> None:
        try:
            async with asyncio.timeout(self._hold_timeout):
                await self._connect(client)
            self._spliced.add(client)
        except (OcattachError, OSError) as error:
            log.debug("A client could not be connected: %s", error)
        finally:
            if client in self._spliced:
                client.begin()
            else:
                client.reset()

    async def _connect(self, client: End) -> None:
        while True:
            target = await self._await_target()
            try:
                await target.route.dial(client, target.host, target.port)
            except ConnectionLostError:
                # Nothing of what the client sent was read: another route can have it.
                if not target.route.lost.done():
                    raise
            else:
                return

    async def _await_target(self) -> Target:
        while (target := self.target) is None or target.route.lost.done():
            if self._held >= self._hold_limit:
                raise ConnectionLostError(f"{self._held} clients are waiting already.")
            self._held += 1
            try:
                self._available.clear()
                await self._available.wait()
            finally:
                self._held -= 1
        return target


async def _close(route: Route) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await route.close()
    except TimeoutError:
        log.warning("The %s route did not close within %g s.", route.name, _CLOSE_TIMEOUT)
