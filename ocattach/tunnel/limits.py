"""What a tunnel may hold, and whom it tells of what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held for how long."""

    held_clients: int = 128
    held_seconds: float = 120
    """How long each client is held before it is refused."""

    dead_after: float = 15
    """Seconds of silence after which the far side counts as gone."""


@dataclass(slots=True)
class Events:
    """Whom to tell, in the tunnel's thread: nobody there may block or wait for the tunnel."""

    on_lost: Callable[[str], object] = field(default=lambda _reason: None)
    """The route is gone, for this reason; once for each route."""

    on_held: Callable[[], object] = field(default=lambda: None)
    """A client is held."""
