"""The route through a gateway, and a gateway that leaves a connection open."""

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ocattach.opencode.endpoint import Endpoint
from ocattach.transports.http.route import GatewayRoute, SecureEnd
from ocattach.tunnel.splice import SpliceEndpoint
from tests.rigs.http_gateway import Authority, server_context


@contextmanager
def one_sided(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a TLS server that reads to the end and never ends a connection."""
    ended = threading.Event()

    def serve() -> None:
        listening.settimeout(30)
        with context.wrap_socket(listening.accept()[0], server_side=True) as opened:
            with suppress(OSError):
                while opened.recv(1024):
                    pass
            ended.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            ended.set()
            thread.join()


def test_a_dial_that_is_cancelled_as_it_succeeds_leaves_no_connection(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = SecureEnd.connection_made
    dials: list[asyncio.Task[None]] = []

    def accept_and_cancel(end: SecureEnd, transport: asyncio.BaseTransport) -> None:
        accept(end, transport)
        dials[0].cancel()

    async def run(endpoint: Endpoint) -> None:
        route = GatewayRoute(endpoint)
        await route.start(within=5)
        dials.append(asyncio.create_task(route.dial(SpliceEndpoint(), "", 0)))
        with pytest.raises(asyncio.CancelledError):
            await dials[0]
        await route.close()

    monkeypatch.setattr(SecureEnd, "connection_made", accept_and_cancel)
    with one_sided(server_context(authority.certificate("plain"))) as port:
        asyncio.run(run(Endpoint(f"https://127.0.0.1:{port}", ca_file=str(authority.file))))

    gc.collect()  # asyncio warns of a transport that was not closed, and pytest reports it
