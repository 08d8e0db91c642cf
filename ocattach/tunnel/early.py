"""Connections that are opened before the first request of a client has passed the gate.

The far end accepts them while the request is parsed. Every user of this machine can connect to the local port.
Therefore early connections are few and short-lived, and nothing is sent over them before a request is admitted.
"""

import asyncio

from ocattach.tunnel.route import Target
from ocattach.tunnel.splice import SpliceEndpoint

MOST_EARLY = 8
"""How many clients may cause an early connection; each admitted request allows one more, up to this number."""

IDLE_SECONDS = 1.0
"""How long an early connection is kept; a daemon that closes idle ones must not do so as it is first used."""


class EarlyConnection(SpliceEndpoint):
    """Takes the place of a client. Closes the connection if the far end sends something or ends it."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target
        self._timer: asyncio.TimerHandle | None = None

    async def dial(self) -> None:
        """Open the connection. Raises what `Route.dial` raises."""
        await self._target.dial(self)
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.detach)

    def hand_over(self, client: SpliceEndpoint, target: Target) -> bool:
        """Splice the client to the connection; return whether it is still open, and one to this target."""
        far = self.other
        if far is None or target is not self._target:
            return False
        self.other = None
        self.detach()
        far.join(client)
        return True

    def write(self, _data: bytes) -> None:
        """Close the connection: a server that sends before it has a request is about to end it."""
        self.detach()

    def end_writing(self) -> None:
        self.detach()

    def lose(self) -> None:
        self.detach()

    def detach(self) -> None:
        """Close the connection, unless it was handed over."""
        if self._timer is not None:
            self._timer.cancel()
        super().detach()
