"""Requests through a tunnel that are none of its users': they do not keep a link alive that nobody uses."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel

CLOSING_SECONDS = 1.0
"""How much later than its client the tunnel may see that a connection has ended."""


class Visits:
    """What was a visit, and what was use."""

    def __init__(self) -> None:
        self._used_at = 0.0
        self._visited_until = 0.0

    def idle_seconds(self, tunnel: "Tunnel") -> float:
        """How long nobody has used a tunnel; 0 while somebody does."""
        idle, now = tunnel.idle_seconds, time.monotonic()
        return now - self._used_at if idle and now - idle <= self._visited_until else idle

    @contextmanager
    def visit(self, tunnel: "Tunnel") -> Iterator[None]:
        """What connects to the tunnel inside is a visit, where nobody uses it at the time."""
        idle = self.idle_seconds(tunnel)
        used_at = time.monotonic() - idle
        try:
            yield
        finally:
            if idle:
                self._used_at, self._visited_until = used_at, time.monotonic() + CLOSING_SECONDS
