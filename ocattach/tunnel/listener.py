"""The local port of a tunnel: accepts clients and splices each to a connection over the current route.

Without a route, clients are held and not read, so that their requests are sent exactly once when a route is back.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from ocattach.errors import ConnectionLostError, OcattachError, PortClosedError, TimedOutError
from ocattach.tunnel.client import Client
from ocattach.tunnel.event_stream import StreamResumer
from ocattach.tunnel.gate import Gate, OpenGate, Upstream
from ocattach.tunnel.gated import GatedClient
from ocattach.tunnel.limits import Events, Limits
from ocattach.tunnel.prompt import PromptKeeper, PromptRecovery
from ocattach.tunnel.recovering import RecoveringClient
from ocattach.tunnel.route import Route, close_route
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.target import Target, is_gone
from ocattach.tunnel.tcp import bind_first

BACKLOG = 256
PAUSE_SECONDS = 0.5
"""Pause before the next attempt to resume a stream; doubled each time, cut short by a new route."""

LONGEST_PAUSE_SECONDS = 10.0

NOTICE_SECONDS = 3.0
"""How long a client's stream is interrupted before its user sees a message."""

MAX_STRANGERS = 256
"""Connections without an admitted request; more are reset, so that another user cannot exhaust the link."""

INTERNAL_ERROR = "internal error of ocattach; its log has the details: ocattach logs NAME"

log = logging.getLogger(__name__)


class Listener:
    """A port of 127.0.0.1 and its clients.

    Belongs to one event loop; public attributes may be read from any thread.
    """

    def __init__(
        self,
        limits: Limits,
        events: Events,
        resumer: StreamResumer | None,
        gate: Gate | None = None,
        recovery: PromptRecovery | None = None,
    ) -> None:
        self.target: Target | None = None
        self.lost: str | None = None
        self.port_closed = False
        """Whether only the daemon's port was lost, while its route still works."""
        self.last_closed = time.monotonic()
        self.held = 0
        """The number of clients held."""
        self.released = 0
        """The number of held clients that the current route was given."""
        self._limits = limits
        self._events = events
        self._resumer = resumer
        self._gate = gate
        self._keeper = None if recovery is None else PromptKeeper(recovery)
        self._strangers: set[SpliceEndpoint] = set()
        """Clients without a request that passed the gate yet."""
        self._refusing: str | None = None
        self._is_holding = False
        self._server: asyncio.Server | None = None
        self._clients: dict[SpliceEndpoint, asyncio.Task[None]] = {}
        self._internal: set[SpliceEndpoint] = set()
        self._spliced: set[Client] = set()
        self._interrupted: set[Client] = set()
        self._switches: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[object]] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self._vacant = asyncio.Event()

    @property
    def client_count(self) -> int:
        """How many clients are connected, held ones included and those of this program's own left out."""
        return len(self._clients) - len(self._internal) - len(self._strangers)

    async def listen(self, ports: Sequence[int] = ()) -> int:
        """Begin to take clients on the first of these ports that is free, else on any.

        Returns the port, which stays open until `close`.
        """
        listening = bind_first(ports)
        port: int = listening.getsockname()[1]
        if self._gate is not None:
            self._gate.port = port
        self._server = await asyncio.get_running_loop().create_server(
            self._make_client, sock=listening, backlog=BACKLOG
        )
        return port

    def _make_client(self) -> Client:
        callbacks = (self._admit, self._remove, self._resume_later, self._resumer)
        if self._gate is None:
            return Client(*callbacks)
        if self._keeper is None:
            return GatedClient(self._gate, *callbacks)
        return RecoveringClient(self._gate, self._keeper, *callbacks)

    def admit(self, connection: socket.socket, counts_as_loss: bool) -> None:
        """Serve a connection of this program itself: it is never held, and its streams are not resumed."""
        if self._closed:  # `close` would not wait for it
            connection.close()
            return
        loop = asyncio.get_running_loop()
        admit = partial(self._admit, internal=True, counts_as_loss=counts_as_loss)
        self._run(loop.connect_accepted_socket(lambda: self._make_internal_client(admit), connection))

    def _make_internal_client(self, admit: Callable[[Client], None]) -> Client:
        callbacks = (admit, self._remove, self._resume_later, None)
        if self.target is None or self.target.route.upstream == Upstream():
            return Client(*callbacks)
        return GatedClient(OpenGate(), *callbacks)

    def hold(self) -> None:
        """Hold new clients even with a route, since the daemon behind it is not ready yet."""
        self._is_holding = True

    def release(self) -> None:
        """Give held clients the route."""
        self._is_holding = False
        self.released = self.held
        self._changed.set()

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
        self._refusing = reason
        self._changed.set()
        for client in self._interrupted:
            client.show_message(reason)

    async def close(self) -> None:
        """Reset all clients; close the port and the route."""
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
        if ending := self._switches | self._background | set(serving):
            await asyncio.wait(ending)

    def check(self) -> None:
        """Check soon whether the route still works."""
        if self.target is not None:
            self.target.route.check()

    async def _switch(self, target: Target, within: float) -> None:
        target.route.dead_after = self._limits.dead_after
        try:
            await target.route.start(within=within)
        except BaseException:
            await close_route(target.route)
            raise
        self.give_up("The tunnel switched to another route.")
        self.target, self.lost, self._refusing, self.released = target, None, None, self.held
        target.route.lost.add_done_callback(partial(self._notice_loss, target))
        self._changed.set()

    def _notice_loss(self, target: Target, reason: asyncio.Future[str]) -> None:
        if target is self.target:
            self.port_closed = False
            self._drop_route(target, reason.result())
            self._events.on_lost(reason.result())

    def _drop_route(self, target: Target, reason: str) -> None:
        self.target, self.lost = None, reason
        for client in list(self._spliced):
            client.lose()
        self._close_route(target.route)

    def _close_route(self, route: Route) -> None:
        self._run(close_route(route))

    def _run(self, what: Coroutine[Any, Any, object]) -> None:
        running = asyncio.get_running_loop().create_task(what)
        self._background.add(running)
        running.add_done_callback(self._background.discard)

    def _admit(self, client: Client, *, internal: bool = False, counts_as_loss: bool = True) -> None:
        if self._closed:  # accepted just before the port was closed
            client.reset()
            return
        if internal:
            self._internal.add(client)
        elif isinstance(client, GatedClient):
            if len(self._strangers) >= MAX_STRANGERS:
                client.reset()
                return
            self._strangers.add(client)
        serving = self._serve(client, internal=internal, counts_as_loss=counts_as_loss)
        self._clients[client] = asyncio.get_running_loop().create_task(serving)

    def _resume_later(self, client: Client) -> None:
        if self._closed:
            client.reset()
            return
        self._spliced.discard(client)
        serving = (
            self._resume(client)
            if client.is_interrupted
            else self._serve(client, internal=False, counts_as_loss=True)
        )
        self._clients[client] = asyncio.get_running_loop().create_task(serving)

    def _remove(self, client: SpliceEndpoint) -> None:
        self._spliced.discard(client)
        serving = self._clients.pop(client, None)
        if serving is not None:
            serving.cancel()
        if client not in self._internal | self._strangers:
            self.last_closed = time.monotonic()
        self._internal.discard(client)
        self._strangers.discard(client)
        if not self._clients:
            self._vacant.set()

    async def _serve(self, client: Client, *, internal: bool, counts_as_loss: bool) -> None:
        if isinstance(client, GatedClient) and not await client.admitted():
            return
        self._strangers.discard(client)
        seconds = self._limits.held_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._connect(client, internal=internal, counts_as_loss=counts_as_loss)
        except TimeoutError:
            reason = self.lost or "no answer"
            client.refuse_unsent(f"cannot reach the environment for {seconds:g} s: {reason}")
        except (OcattachError, OSError) as error:
            client.refuse_unsent(str(error))
        except asyncio.CancelledError:
            client.reset()
            raise
        except Exception:
            log.exception("Could not serve a client")
            client.refuse_unsent(INTERNAL_ERROR)
        else:
            self._spliced.add(client)
            client.begin()

    async def _resume(self, client: Client) -> None:
        """Reconnect a client whose stream was interrupted, without a time limit."""
        notice = asyncio.get_running_loop().call_later(NOTICE_SECONDS, self._notify_loss, client)
        self._interrupted.add(client)
        try:
            await self._reconnect(client, notice)
        finally:
            self._interrupted.discard(client)
            notice.cancel()

    def _notify_loss(self, client: Client) -> None:
        if self._refusing is None:  # otherwise the user has already seen that reason
            client.show_message(
                f"The connection was lost; what you send waits until it is back. {self.lost or ''}"
            )

    async def _reconnect(self, client: Client, notice: asyncio.TimerHandle) -> None:
        pause = PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._limits.held_seconds):
                    await self._connect(client, internal=False)
                self._spliced.add(client)
                await client.resume("The connection is back" if notice.when() <= loop.time() else "")
            except (OcattachError, OSError) as error:
                log.debug("Cannot resume a stream of events yet: %s", error)
            except Exception:
                log.exception("Could not resume a stream of events")
            else:
                return
            self._spliced.discard(client)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _connect(self, client: Client, *, internal: bool, counts_as_loss: bool = True) -> None:
        while True:
            target = self._target_now(internal=internal) or await self._await_target()
            try:
                await target.route.dial(client, target.host, target.port)
            except (OcattachError, OSError) as error:
                # Nothing was read from the client: another route, or the next daemon, can serve it.
                if counts_as_loss and target.has_answered and is_gone(error) and target is self.target:
                    self.port_closed = isinstance(error, PortClosedError | ConnectionRefusedError)
                    self._drop_route(target, str(error))
                    self._events.on_lost(str(error))
                elif target is self.target and not target.route.lost.done():
                    if isinstance(error, TimeoutError):
                        raise TimedOutError("no answer") from error
                    raise
            else:
                target.has_answered = True
                if isinstance(client, GatedClient):
                    client.upstream = target.route.upstream
                return

    def _target_now(self, *, internal: bool = False) -> Target | None:
        target = self.target
        is_there = target is not None and not target.route.lost.done()
        if internal and not is_there:
            raise ConnectionLostError(self.lost or "there is no route")
        return target if is_there and (internal or not self._is_holding) else None

    async def _await_target(self) -> Target:
        while (target := self._target_now()) is None:
            if self._refusing is not None:
                raise ConnectionLostError(self._refusing)
            if self.held >= self._limits.held_clients:
                raise ConnectionLostError(f"{self.held} requests already wait for the environment")
            self.held += 1
            self._events.on_held()
            try:
                self._changed.clear()
                await self._changed.wait()
            finally:
                self.held -= 1
        return target
