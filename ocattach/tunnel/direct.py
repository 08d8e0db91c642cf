"""The direct route to the ports of this machine."""

from ocattach.errors import PortClosedError
from ocattach.tunnel.route import LOOPBACK, Route
from ocattach.tunnel.socket_table import listens_here
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tcp import connect_spliced, end_when_silent

IPV6_LOOPBACK = "::1"


class DirectRoute(Route):
    """Plain TCP to a port of this machine, on which this account has to listen unless the user has named the port.

    The route itself is never lost, since nothing stays open between connections. The kernel ends connections whose
    peer is silent for too long.
    """

    name = "direct"

    def __init__(self, host: str) -> None:
        self._host = host

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:
        is_any = host == LOOPBACK
        far = SpliceEndpoint()
        try:
            transport = await connect_spliced(far, client, host=self._host, port=port)
        except ConnectionRefusedError as error:
            if is_any and self._host != IPV6_LOOPBACK:
                await DirectRoute(IPV6_LOOPBACK).dial(client, host, port)
                return
            raise PortClosedError(f"Nothing listens on port {port} of {self._host}") from error
        if not is_any and listens_here(transport.get_extra_info("peername")[:2]) is False:
            far.other = client.other = None
            transport.abort()
            raise PortClosedError(f"Port {port} of {self._host} belongs to another account now")
        end_when_silent(transport.get_extra_info("socket"), self.dead_after)
