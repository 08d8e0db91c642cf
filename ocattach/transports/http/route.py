"""The route to a daemon behind a gateway that wants more of each request than `opencode attach` can send."""

import asyncio
import logging
import socket
from typing import cast

from ocattach.errors import ConnectionLostError
from ocattach.transports.http.requests import HeaderInjector, Requests
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.route import Route, end_when_silent
from ocattach.tunnel.splice import READ_SIZE, SpliceEndpoint
from ocattach.tunnel.tunnel import Tunnel

DIAL_SECONDS = 10

log = logging.getLogger(__name__)


class GatewayRoute(Route):
    """A connection to the URL's server for each client, with the client's requests changed on the way.

    Never lost by itself: nothing stays open between connections.
    """

    name = "gateway"

    def __init__(self, injector: HeaderInjector) -> None:
        self._injector = injector

    async def start(self, *, within: float) -> None:  # noqa: ARG002  (nothing is waited for)
        self.lost = asyncio.get_running_loop().create_future()

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:  # noqa: ARG002  (the URL has them)
        endpoint = self._injector.endpoint
        opened = await in_thread(lambda: endpoint.open_socket(DIAL_SECONDS), discard=socket.socket.close)
        end_when_silent(opened, self.dead_after)
        opened.setblocking(False)
        requests = Requests(self._injector)
        far = GatewayEnd(requests) if endpoint.tls is None else SecureEnd(requests)
        far.join(client)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: far,
                sock=opened,
                ssl=endpoint.tls,
                server_hostname=endpoint.host if endpoint.tls else None,
                ssl_handshake_timeout=DIAL_SECONDS if endpoint.tls else None,
            )
        except BaseException:
            opened.close()
            raise

    async def close(self) -> None:
        return


class GatewayEnd(SpliceEndpoint):
    """The end at the gateway: what is written to it are a client's requests."""

    def __init__(self, requests: Requests) -> None:
        super().__init__()
        self._requests = requests

    def write(self, data: bytes) -> None:
        """Write the requests as the gateway wants them; what is no HTTP ends the connection."""
        try:
            changed = self._requests.feed(data)
        except ConnectionLostError as error:
            log.info("a client was refused: %s", error)
            self.reset()
            return
        if changed:
            super().write(changed)


class SecureEnd(GatewayEnd):
    """The same over TLS, which asyncio ends in both directions at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; it may keep a little: with a limit of 0, asyncio's TLS pauses what has been sent."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=READ_SIZE)

    def eof_received(self) -> bool:
        """Hand on the end of the answers; the transport closes itself."""
        super().eof_received()
        self._write_ended = True
        return False

    def end_writing(self) -> None:
        """Close the connection: an HTTP client that ends its requests wants no more answers either."""
        if self._transport is not None and not self._write_ended:
            self._read_ended = self._write_ended = True
            self._transport.close()


def gateway_tunnel(tunnel: Tunnel | None, injector: HeaderInjector, port: int) -> Tunnel:
    """Return a tunnel through the gateway: a new one, or `tunnel` switched to this route."""
    route = GatewayRoute(injector)
    if tunnel is None:
        return Tunnel(route, port)
    tunnel.switch_route(route, port)
    return tunnel
