"""Routes from this machine to the ports of one environment."""

import asyncio
import errno
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from ocattach.errors import ConnectionLostError, OcattachError, PortClosedError
from ocattach.execution import Stream, on_error
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.gate import Upstream
from ocattach.tunnel.multiplexer import Multiplexer
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tcp import connect_spliced

CLOSE_SECONDS = 5.0

LONGEST_INTERVAL = 10.0
"""The maximum of seconds between two pings of a relay, which ends when it receives nothing for 45."""

CHECK_SECONDS = 3.0
"""Time for the far end to answer a check."""

REFUSED = "ECONNREFUSED"
"""The relay's reason when nothing listens on a port."""

LOOPBACK = "*"
"""As a host: 127.0.0.1 or else ::1, whichever account listens there; for ports that the user has named."""

GONE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}

log = logging.getLogger(__name__)


class Route(ABC):
    """A route to the ports of one environment, used by one tunnel.

    All methods but the constructor are called in the tunnel's event loop.
    """

    name: str
    """Shown to users: `relay`, `ssh`, `direct`."""

    lost: asyncio.Future[str]
    """Done with the reason when the route is lost. Set by `start`."""

    dead_after: float = 15
    """Seconds of silence after which the route counts as lost; set before `start`."""

    upstream: Upstream = Upstream()
    """What requests to the server behind the route need."""

    @property
    def round_trip(self) -> float | None:
        """The round trip to the environment in seconds; None where it is not measured."""
        return None

    async def start(self, *, within: float) -> None:  # noqa: ARG002 - for subclasses
        """Get ready to dial within so many seconds. Raises an OcattachError otherwise."""
        self.lost = asyncio.get_running_loop().create_future()

    @abstractmethod
    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:
        """Connect to a port of the environment and splice it to `client`, which was not read yet.

        `host` is the address within the environment, for routes that can choose it, or LOOPBACK.
        Raises ConnectionLostError when another route may serve the client, PortClosedError when nothing listens
        there, and OSError or another OcattachError when only this connection failed.
        """

    def check(self) -> None:
        """Check soon whether the route still works. Called, for example, after this machine has slept."""
        return

    async def close(self) -> None:  # noqa: B027 - some hold nothing between connections
        """Close the route and reset its connections. Closing twice, or before `start`, is harmless."""


class RelayRoute(Route):
    """Through a relay program in the environment; all connections share one stream.

    `stream` is connected to a running relay (`relay.relay_source`); the route closes it.
    """

    name = "relay"

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._multiplexer: Multiplexer | None = None

    @property
    def round_trip(self) -> float | None:
        return self._multiplexer.round_trip if self._multiplexer is not None else None

    async def start(self, *, within: float) -> None:
        half = self.dead_after / 2
        interval = min(half, LONGEST_INTERVAL)
        self._multiplexer = Multiplexer(self._stream, ping_interval=interval, ping_timeout=half)
        self.lost = self._multiplexer.lost
        await self._multiplexer.start(within=within)

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:
        if self._multiplexer is None:
            raise ConnectionLostError("The relay was not started.")
        far = SpliceEndpoint()
        far.join(client)
        try:
            await self._multiplexer.open(far, host, port)
        except ConnectionResetError as error:
            if str(error) != REFUSED:
                raise
            raise PortClosedError(f"Nothing listens on port {port} there") from error

    def check(self) -> None:
        if self._multiplexer is not None:
            self._multiplexer.check(within=min(CHECK_SECONDS, self.dead_after / 2))

    async def close(self) -> None:
        if self._multiplexer is not None:
            self._multiplexer.close()
        await in_thread(self._stream.close)


class DialRoute(Route):
    """Through a transport's port forwarding, with one stream for each connection (k8s: port-forward).

    `dial` takes the port and may block; it is called on threads, for several connections at once.
    ConnectionLostError from it means that the route is lost; another OcattachError fails that connection alone.

    For streams that share one connection, `ping` blocks until its far end answers, or raises ConnectionLostError. It
    is called on a separate thread, which ends when the caller closes the connection.
    """

    def __init__(
        self, name: str, dial: Callable[[int], Stream], *, ping: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self._dial = dial
        self._ping = ping
        self._streams: dict[SpliceEndpoint, Stream] = {}
        self._closings: set[asyncio.Task[None]] = set()
        self._pinging: asyncio.Task[None] | None = None
        self._checks = asyncio.Event()
        self._last_received = 0.0
        """When a stream last received data, in the event loop's time."""

    async def start(self, *, within: float) -> None:
        await super().start(within=within)
        loop = asyncio.get_running_loop()
        if self._ping is not None:
            self._pinging = loop.create_task(self._keep_pinging(self._ping))

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:  # noqa: ARG002  (`dial` chooses the host)
        if self.lost.done():
            raise ConnectionLostError(self.lost.result())
        try:
            stream = await in_thread(lambda: self._dial(port), discard=lambda unwanted: unwanted.close())
        except ConnectionLostError as error:
            self._lose(str(error))
            raise
        decode = partial(self._receive, stream.decode)
        far = SpliceEndpoint(decode=decode, is_whole=stream.is_whole, on_closed=self._release)
        self._streams[far] = stream
        with on_error(partial(self._release, far)):
            await connect_spliced(far, client, sock=stream.socket.dup())

    def check(self) -> None:
        self._checks.set()

    async def close(self) -> None:
        self._lose("The route was closed.")
        for far in list(self._streams):
            far.reset()
            self._release(far)
        if ending := self._closings | ({self._pinging} if self._pinging is not None else set()):
            await asyncio.wait(ending)

    def _receive(self, decode: Callable[[bytes], bytes] | None, data: bytes) -> bytes:
        self._last_received = asyncio.get_running_loop().time()
        return data if decode is None else decode(data)

    async def _keep_pinging(self, ping: Callable[[], None]) -> None:
        while not self.lost.done():
            hurried = await self._await_check()
            seconds = min(CHECK_SECONDS, self.dead_after / 2) if hurried else self.dead_after / 2
            try:
                await self._await_answer(in_thread(ping), seconds)
            except ConnectionLostError as error:
                self._lose(str(error))
            except Exception:
                log.exception("Could not ping through the %s route", self.name)
                self._lose("The connection could not be checked any more.")

    async def _await_answer(self, answering: Coroutine[Any, Any, None], seconds: float) -> None:
        """Wait for a ping's answer. Data on the streams counts as well, since the answer may be queued behind it."""
        loop = asyncio.get_running_loop()
        answer = loop.create_task(answering)
        try:
            while True:
                began = loop.time()
                done, _ = await asyncio.wait({answer}, timeout=seconds)
                if done:
                    return answer.result()
                if self._last_received < began:
                    raise ConnectionLostError(f"The far end did not answer for {seconds:g} s")
        finally:
            answer.cancel()

    async def _await_check(self) -> bool:
        """Wait until a ping is due; return whether `check` requested it."""
        self._checks.clear()
        try:
            async with asyncio.timeout(self.dead_after / 2):
                await self._checks.wait()
        except TimeoutError:
            return False
        return True

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        if self._pinging is not None and self._pinging is not asyncio.current_task():
            self._pinging.cancel()

    def _release(self, far: SpliceEndpoint) -> None:
        stream = self._streams.pop(far, None)
        if stream is not None:
            closing = asyncio.get_running_loop().create_task(in_thread(stream.close))
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)


@dataclass(slots=True)
class Target:
    """A port in an environment, and the route to it."""

    route: Route
    port: int
    host: str
    has_answered: bool = False
    """Whether a connection to it has succeeded. A failure after that counts as a loss of the daemon."""

    async def dial(self, client: SpliceEndpoint) -> None:
        """Connect to the port, or to the client's own, and splice it to `client`, as `Route.dial` does."""
        await self.route.dial(client, LOOPBACK if client.port else self.host, client.port or self.port)


def is_gone(error: OcattachError | OSError) -> bool:
    """Return whether a failed connection means that a daemon reached before is gone."""
    if isinstance(error, OSError):
        return isinstance(error, ConnectionRefusedError | TimeoutError) or error.errno in GONE
    return isinstance(error, PortClosedError | ConnectionLostError)


async def close_route(route: Route) -> None:
    """Close a route; do not wait for one that takes too long."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await route.close()
    except TimeoutError:
        log.warning("The %s route did not close within %g s.", route.name, CLOSE_SECONDS)
