"""Ways from this machine to the ports of one environment."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.multiplexer import Multiplexer
from ocattach.tunnel.splice import End


class Route(ABC):
    """A way to the ports of one environment, for use by one tunnel.

    Everything but the constructor is called in the tunnel's event loop.
    """

    name: str
    """What users are told: which way was taken."""

    lost: asyncio.Future[str]
    """Done with the reason once the way is gone. Exists from `start` on."""

    @property
    def round_trip(self) -> float | None:
        """How long an answer from the environment takes, in seconds, where that is measured."""
        return None

    @abstractmethod
    async def start(self, *, within: float) -> None:
        """Be ready to dial within so many seconds, or raise an OcattachError."""

    @abstractmethod
    async def dial(self, client: End, host: str, port: int) -> None:
        """Connect to a port of the environment and join it with `client`, which is not read yet.

        `host` is the address within the environment, where the route leaves a choice.
        Raises ConnectionLostError when another route may serve the client, and OSError or another OcattachError
        when only this connection cannot be had.
        """

    def check(self) -> None:
        """Find out now whether the way is still there, where that can be found out."""
        return

    @abstractmethod
    async def close(self) -> None:
        """Give up what the route holds; its connections are reset. Closing twice, or unstarted, is harmless."""


class RelayRoute(Route):
    """Through a relay program in the environment; all connections share its one stream.

    `stream` leads to a running relay (`sources.relay_source`); the route closes it.
    The times are seconds: see `Multiplexer`.
    """

    name = "relay"

    def __init__(self, stream: Stream, *, ping_interval: float = 15, ping_timeout: float = 15) -> None:
        self._stream = stream
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._multiplexer: Multiplexer | None = None

    @property
    def round_trip(self) -> float | None:
        return self._multiplexer.round_trip if self._multiplexer is not None else None

    async def start(self, *, within: float) -> None:
        self._multiplexer = Multiplexer(
            self._stream, ping_interval=self._ping_interval, ping_timeout=self._ping_timeout
        )
        self.lost = self._multiplexer.lost
        await self._multiplexer.start(within=within)

    async def dial(self, client: End, host: str, port: int) -> None:
        if self._multiplexer is None:
            raise ConnectionLostError("The relay was not started.")
        far = End()
        far.join(client)
        await self._multiplexer.open(far, host, port)

    def check(self) -> None:
        if self._multiplexer is not None:
            self._multiplexer.check()

    async def close(self) -> None:
        if self._multiplexer is not None:
            self._multiplexer.close()
        await in_thread(self._stream.close)


class DialRoute(Route):
    """Through something that reaches a port by itself, with one stream for each connection (ssh: direct-tcpip).

    `dial` takes the port and may block; it is called on threads, for several connections at once.
    When it raises ConnectionLostError, the route is lost; another OcattachError concerns that connection alone.
    """

    def __init__(self, name: str, dial: Callable[[int], Stream]) -> None:
        self.name = name
        self._dial = dial
        self._streams: dict[End, Stream] = {}
        self._closings: set[asyncio.Task[None]] = set()

    async def start(self, *, within: float) -> None:  # noqa: ARG002  (nothing is waited for)
        self.lost = asyncio.get_running_loop().create_future()

    async def dial(self, client: End, host: str, port: int) -> None:  # noqa: ARG002  (it is `dial` that knows)
        if self.lost.done():
            raise ConnectionLostError(self.lost.result())
        try:
            stream = await in_thread(lambda: self._dial(port), discard=lambda unwanted: unwanted.close())
        except ConnectionLostError as error:
            self._lose(str(error))
            raise
        far = End(decode=stream.decode, on_closed=self._release)
        self._streams[far] = stream
        try:
            await _connect(far, client, sock=stream.socket.dup())
        except BaseException:
            self._release(far)
            raise

    async def close(self) -> None:
        self._lose("The route was given up.")
        for far in list(self._streams):
            far.reset()
            self._release(far)
        if self._closings:
            await asyncio.wait(self._closings)

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _release(self, far: End) -> None:
        stream = self._streams.pop(far, None)
        if stream is not None:
            closing = asyncio.get_running_loop().create_task(in_thread(stream.close))
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)


class DirectRoute(Route):
    """Plain TCP to a host that can be reached from here: published ports, host networks, http URLs.

    It is never lost by itself: there is nothing that stays open between connections.
    """

    name = "direct"

    def __init__(self, host: str) -> None:
        self._host = host

    async def start(self, *, within: float) -> None:  # noqa: ARG002  (nothing is waited for)
        self.lost = asyncio.get_running_loop().create_future()

    async def dial(self, client: End, host: str, port: int) -> None:  # noqa: ARG002  (it has its own host)
        await _connect(End(), client, host=self._host, port=port)

    async def close(self) -> None:
        return


async def _connect(far: End, client: End, **address: Any) -> None:
    far.join(client)
    await asyncio.get_running_loop().create_connection(lambda: far, **address)
