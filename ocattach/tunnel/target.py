"""The remote end of a tunnel."""

import errno
from dataclasses import dataclass

from ocattach.errors import ConnectionLostError, OcattachError, PortClosedError
from ocattach.tunnel.route import LOOPBACK, Route
from ocattach.tunnel.splice import SpliceEndpoint

GONE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


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
