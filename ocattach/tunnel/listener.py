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
from itertools import chain
from typing import Any

from ocattach.errors import OcattachError
from ocattach.tunnel.client import Client
from ocattach.tunnel.early import MOST_EARLY, EarlyConnection
from ocattach.tunnel.event_stream import StreamResumer
from ocattach.tunnel.forwarded import ForwardedClient, bind_forwarded
from ocattach.tunnel.gate import Gate, OpenGate, Upstream
from ocattach.tunnel.gated import GatedClient
from ocattach.tunnel.limits import Events, Limits
from ocattach.tunnel.prompt import PromptKeeper, PromptRecovery
from ocattach.tunnel.recovering import RecoveringClient
from ocattach.tunnel.resumable import ResumableClient
from ocattach.tunnel.router import Router
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tcp import bind_both

BACKLOG = 256
PAUSE_SECONDS = 0.5
"""Pause before the next attempt to resume a stream; doubled each time, cut short by a new route."""

LONGEST_PAUSE_SECONDS = 10.0

NOTICE_SECONDS = 3.0
"""How long a client's stream is interrupted before its user sees a message."""

MAX_STRANGERS = 256
"""Connections without an admitted request, or to forwarded ports; more are reset: other users can open them, too."""

INTERNAL_ERROR = "internal error of ocattach; its log has the details: ocattach logs NAME"

log = logging.getLogger(__name__)


class Listener:
    """A port of 127.0.0.1, and of ::1, and its clients.

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
        self.router = Router(limits, events, self._lose_clients)
        self.last_closed = time.monotonic()
        self._limits = limits
        self._resumer = resumer
        self._gate = gate
        self._keeper = None if recovery is None else PromptKeeper(recovery)
        self._strangers: set[SpliceEndpoint] = set()
        """Clients without a request that passed the gate yet, and those of forwarded ports."""
        self._early_left = MOST_EARLY
        """How many more clients may cause an early connection."""
        self._servers: dict[int, list[asyncio.Server]] = {}
        """By local port: the tunnel's own, and those that are forwarded."""
        self._clients: dict[SpliceEndpoint, asyncio.Task[None]] = {}
        self._internal: set[SpliceEndpoint] = set()
        self._spliced: set[Client] = set()
        self._interrupted: set[ResumableClient] = set()
        self._background: set[asyncio.Task[object]] = set()
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
        listening = bind_both(ports)
        port: int = listening[0].getsockname()[1]
        if self._gate is not None:
            self._gate.port = port
        await self._serve_port(listening, self._make_client)
        return port

    async def forward(self, port: int, local: int | None) -> int:
        """Forward the local port `local`, or one that is free, to a port of the environment's loopback. Returns it.

        Raises OSError if `local` cannot be bound.
        """
        listening = bind_forwarded(port, local)
        local = listening[0].getsockname()[1]
        admit = partial(self._admit, counts_as_loss=False)
        await self._serve_port(listening, partial(ForwardedClient, local, port, admit, self._remove))
        return local

    async def _serve_port(
        self, listening: Sequence[socket.socket], make_client: Callable[[], Client]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._servers[listening[0].getsockname()[1]] = [
            await loop.create_server(make_client, sock=each, backlog=BACKLOG) for each in listening
        ]

    def end_forward(self, local: int) -> None:
        """Close a forwarded port and reset its clients. Ending it twice is harmless."""
        for server in self._servers.pop(local, ()):
            server.close()
        for client in list(self._clients):
            if isinstance(client, ForwardedClient) and client.local == local:
                client.reset()

    def _make_client(self) -> Client:
        callbacks = (self._admit, self._remove, self._resume_later, self._resumer)
        if self._gate is None:
            return ResumableClient(*callbacks)
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
        if (target := self.router.target) is None or target.route.upstream == Upstream():
            return Client(admit, self._remove)
        return GatedClient(OpenGate(), admit, self._remove, self._resume_later, None)

    def refuse(self, reason: str) -> None:
        """Refuse held and new clients until there is a route."""
        self.router.refuse(reason)
        for client in self._interrupted:
            client.show_message(reason)

    def reset_browsers(self) -> None:
        """Reset the clients that were let in by a cookie: they have to log in again."""
        for client in list(self._clients):
            if isinstance(client, GatedClient) and client.is_browser:
                client.reset()

    async def close(self) -> None:
        """Reset all clients; close the port and the route."""
        self._closed = True
        for server in chain.from_iterable(self._servers.values()):
            server.close()
        self.router.stop()
        serving = list(self._clients.values())
        for client, task in list(self._clients.items()):
            task.cancel()
            client.reset()
        self._vacant.clear()
        if self._clients:
            await self._vacant.wait()
        await self.router.close()
        if ending := self._background | set(serving):
            await asyncio.wait(ending)

    def _lose_clients(self) -> None:
        for client in list(self._spliced):
            client.lose()

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
        elif isinstance(client, GatedClient | ForwardedClient):
            if len(self._strangers) >= MAX_STRANGERS:
                client.reset()
                return
            self._strangers.add(client)
        if isinstance(client, GatedClient):
            serving = self._serve_first(client, internal=internal, counts_as_loss=counts_as_loss)
        else:
            serving = self._serve(client, internal=internal, counts_as_loss=counts_as_loss)
        self._clients[client] = asyncio.get_running_loop().create_task(serving)

    def _resume_later(self, client: ResumableClient) -> None:
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

    async def _serve_first(self, client: GatedClient, *, internal: bool, counts_as_loss: bool) -> None:
        """Serve a client once its first request is admitted, if possible over a connection opened before that."""
        early = None
        if self._early_left and not internal:
            self._early_left -= 1
            early = await self.router.dial_early()
        try:
            if await client.admitted():
                self._strangers.discard(client)
                self._early_left = min(self._early_left + 1, MOST_EARLY)
                await self._serve(client, internal=internal, counts_as_loss=counts_as_loss, early=early)
        finally:
            if early is not None:
                early.detach()

    async def _serve(
        self, client: Client, *, internal: bool, counts_as_loss: bool, early: EarlyConnection | None = None
    ) -> None:
        seconds = self._limits.held_seconds
        try:
            async with asyncio.timeout(seconds):
                await self.router.connect(
                    client, early=early, internal=internal, counts_as_loss=counts_as_loss
                )
        except TimeoutError:
            reason = self.router.lost or "no answer"
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

    async def _resume(self, client: ResumableClient) -> None:
        """Reconnect a client whose stream was interrupted, without a time limit."""
        notice = asyncio.get_running_loop().call_later(NOTICE_SECONDS, self._notify_loss, client)
        self._interrupted.add(client)
        try:
            await self._reconnect(client, notice)
        finally:
            self._interrupted.discard(client)
            notice.cancel()

    def _notify_loss(self, client: ResumableClient) -> None:
        if self.router.refusing is None:  # otherwise the user has already seen that reason
            client.show_message(
                f"The connection was lost; what you send waits until it is back. {self.router.lost or ''}"
            )

    async def _reconnect(self, client: ResumableClient, notice: asyncio.TimerHandle) -> None:
        pause = PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._limits.held_seconds):
                    await self.router.connect(client, internal=False)
                self._spliced.add(client)
                await client.resume("The connection is back" if notice.when() <= loop.time() else "")
            except (OcattachError, OSError) as error:
                log.debug("Cannot resume a stream of events yet: %s", error)
            except Exception:
                log.exception("Could not resume a stream of events")
            else:
                return
            self._spliced.discard(client)
            self.router.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.router.changed.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
