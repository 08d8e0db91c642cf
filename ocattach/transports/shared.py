"""Ways that environments have in common: each engine, host or cluster is dialled once, however many are behind it."""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ocattach.errors import OcattachError
from ocattach.transports.base import TransportHandler

AT_ONCE = 6
"""How many environments are asked at once over one way: an sshd takes ten sessions on a connection (MaxSessions)."""

STALE_SECONDS = 2.0
"""How long a way that could not be opened is not tried again: whoever waited for it is told the same."""


class SharedConnection:
    """One engine, host or cluster."""

    def __init__(self) -> None:
        self.slots = threading.BoundedSemaphore(AT_ONCE)
        self._opening = threading.Lock()
        self._leader: TransportHandler | None = None
        self._error: OcattachError | None = None
        self._failed_at = 0.0

    def take_along(self, handler: TransportHandler, make_leader: Callable[[], TransportHandler]) -> None:
        """Let a handler use the way, which is opened now if it is not. Raises why it could not be."""
        with self._opening:
            if self._error is not None and time.monotonic() - self._failed_at < STALE_SECONDS:
                raise copy.copy(self._error)
            self._leader = self._leader or make_leader()
            try:
                self._leader.open_connection()  # which costs nothing while it stands
                handler.share(self._leader)
            except OcattachError as error:
                self._error, self._failed_at = error, time.monotonic()
                self.close()
                raise
            self._error = None

    def close(self) -> None:
        """Let go of it; the next handler opens it anew. Does not wait for who is just opening it."""
        leader, self._leader = self._leader, None
        if leader is not None:
            leader.disconnect()


class SharedConnections:
    """All ways of one survey. Several threads may use it."""

    def __init__(self) -> None:
        self._ways: dict[str, SharedConnection] = {}
        self._lock = threading.Lock()

    @contextmanager
    def shared(
        self, handler: TransportHandler, make_leader: Callable[[], TransportHandler]
    ) -> Iterator[bool]:
        """Inside, a handler uses the way that it has in common with others; gives whether there is one.

        Not too many use one at once. `make_leader` makes a handler that is to own the way.
        """
        key = handler.connection_key()
        if key is None:
            yield False
            return
        with self._lock:
            way = self._ways.setdefault(key, SharedConnection())
        with way.slots:
            way.take_along(handler, make_leader)
            yield True

    def close(self) -> None:
        """Let go of every way."""
        with self._lock:
            ways, self._ways = list(self._ways.values()), {}
        for way in ways:
            way.close()
