"""The limits of a tunnel, and its callbacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class Limits(NamedTuple):
    """How many clients a tunnel holds without a route, and for how long."""

    held_clients: int = 128
    held_seconds: float = 120
    """Seconds after which a held client is refused."""

    dead_after: float = 15
    """Seconds of silence after which the route counts as lost."""


@dataclass(slots=True)
class Events:
    """Callbacks, called in the tunnel's thread. They must not block or wait for the tunnel."""

    on_lost: Callable[[str], object] = field(default=lambda _reason: None)
    """Called with the reason when a route is lost, once for each route."""

    on_held: Callable[[], object] = field(default=lambda: None)
    """Called when a client is held."""
