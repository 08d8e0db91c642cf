"""The route to a daemon behind a gateway that requires headers, which `opencode attach` cannot send."""

import asyncio
import socket
from functools import partial
from typing import cast

from ocattach.execution import on_error
from ocattach.opencode.endpoint import Endpoint
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.gate import Gate, Upstream
from ocattach.tunnel.route import Route
from ocattach.tunnel.splice import READ_SIZE, SpliceEndpoint
from ocattach.tunnel.tcp import end_when_silent
from ocattach.tunnel.tunnel import Tunnel

DIAL_SECONDS = 10


class GatewayRoute(Route):
    """Opens a connection to the URL's server for each client; the tunnel's gate adds the headers.

    Never lost by itself: nothing stays open between connections.
    """

    name = "gateway"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connected: set[SpliceEndpoint] = set()
        self._vacant = asyncio.Event()
        fixed = [(name.encode(), value.encode()) for name, value in endpoint.fixed_headers]
        self.upstream = Upstream(endpoint.request_prefix.encode(), tuple(fixed))

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:  # noqa: ARG002  (the URL has them)
        endpoint = self._endpoint
        opened = await in_thread(lambda: endpoint.open_socket(DIAL_SECONDS), discard=socket.socket.close)
        end_when_silent(opened, self.dead_after)
        opened.setblocking(False)
        far = (SpliceEndpoint if endpoint.tls is None else SecureEnd)(on_closed=self._remove)
        far.join(client)
        self._connected.add(far)
        # From here on asyncio owns the socket. If the caller is cancelled, it closes TLS, which waits for the server.
        with on_error(partial(self._abort, far)):
            await asyncio.get_running_loop().create_connection(
                lambda: far,
                sock=opened,
                ssl=endpoint.tls,
                server_hostname=endpoint.host if endpoint.tls else None,
                ssl_handshake_timeout=DIAL_SECONDS if endpoint.tls else None,
            )

    async def close(self) -> None:
        """Reset the connections: TLS would wait for the server to end its side."""
        self._vacant.clear()
        for far in list(self._connected):
            self._abort(far)
        if self._connected:
            await self._vacant.wait()

    def _abort(self, far: SpliceEndpoint) -> None:
        if far.is_connected:
            far.reset()
        else:
            self._remove(far)

    def _remove(self, far: SpliceEndpoint) -> None:
        self._connected.discard(far)
        if not self._connected:
            self._vacant.set()


class SecureEnd(SpliceEndpoint):
    """The end of a TLS connection to a gateway; asyncio closes TLS in both directions at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; it may keep a little: with a limit of 0, asyncio's TLS pauses what has been sent."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=READ_SIZE)

    def eof_received(self) -> bool:
        """Forward the end of the responses; the transport closes itself."""
        super().eof_received()
        self._write_ended = True
        return False

    def end_writing(self) -> None:
        """Close the connection: a client that has ended its input expects no more responses."""
        if self._transport is not None and not self._write_ended:
            self._read_ended = self._write_ended = True
            self._transport.close()


def gateway_tunnel(tunnel: Tunnel | None, endpoint: Endpoint, port: int, authorization: str) -> Tunnel:
    """Return a tunnel through the gateway: a new one, or `tunnel` switched to this route.

    Clients of a new one need the daemon's own `authorization`, so that no other user gets the headers.
    """
    route = GatewayRoute(endpoint)
    if tunnel is None:
        return Tunnel(route, port, gate=Gate(authorization, authorization=authorization))
    tunnel.switch_route(route, port)
    return tunnel
