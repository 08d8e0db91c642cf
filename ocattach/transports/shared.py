"""Connections shared by several environments: each engine, host or cluster is dialled once."""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ocattach.errors import OcattachError
from ocattach.transports.base import TransportHandler

AT_ONCE = 6
"""Environments queried at once over one connection; sshd allows ten sessions on each (MaxSessions)."""

STALE_SECONDS = 2.0
"""Seconds in which a failed connection is not tried again; waiting handlers get the same error."""


class SharedConnection:
    """The connection to one engine, host or cluster."""

    def __init__(self) -> None:
        self.slots = threading.BoundedSemaphore(AT_ONCE)
        self._opening = threading.Lock()
        self._owner: TransportHandler | None = None
        self._error: OcattachError | None = None
        self._failed_at = 0.0

    def share_with(self, handler: TransportHandler, make_owner: Callable[[], TransportHandler]) -> None:
        """Let a handler use the connection, which is opened first if necessary. Raises as `open_connection` does."""
        with self._opening:
            if self._error is not None and time.monotonic() - self._failed_at < STALE_SECONDS:
                raise copy.copy(self._error)
            self._owner = self._owner or make_owner()
            try:
                self._owner.open_connection()  # does nothing while it is open
                handler.share(self._owner)
            except OcattachError as error:
                self._error, self._failed_at = error, time.monotonic()
                self.close()
                raise
            self._error = None

    def close(self) -> None:
        """Close the connection. The next handler opens a new one. Does not wait for a thread that is opening it."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.disconnect()


class SharedConnections:
    """All shared connections of one survey. Thread-safe."""

    def __init__(self) -> None:
        self._connections: dict[str, SharedConnection] = {}
        self._lock = threading.Lock()

    @contextmanager
    def shared(self, handler: TransportHandler, make_owner: Callable[[], TransportHandler]) -> Iterator[bool]:
        """Let a handler use the shared connection for its key in the context, and yield whether there is one.

        Waits while too many handlers use the connection. `make_owner` makes the handler that opens and closes it.
        """
        key = handler.connection_key()
        if key is None:
            yield False
            return
        with self._lock:
            connection = self._connections.setdefault(key, SharedConnection())
        with connection.slots:
            connection.share_with(handler, make_owner)
            yield True

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            connection.close()
