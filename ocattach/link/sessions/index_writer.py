"""Keeps the index up to date with the sessions of a link's daemon."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Protocol

from ocattach.config.files.paths import state_directory
from ocattach.errors import OcattachError
from ocattach.link.sessions.connections import UsedConnections
from ocattach.sessions.index import index_file
from ocattach.sessions.record import Session

WRITE_SECONDS = 1.0
"""The shortest time between two writes to the index."""

log = logging.getLogger(__name__)


class SessionStore(Protocol):
    """Where sessions are stored: the index, except in tests. For one thread."""

    def put(
        self, sessions: Iterable[Session], environment: str, asked: float, *, uri: str, place: str
    ) -> None:
        """Store sessions as an environment reported them at this time."""

    def forget(self, sessions: Sequence[str], environment: str) -> None:
        """Remove sessions that were deleted in an environment."""

    def close(self) -> None:
        """Close the store."""


def open_index() -> SessionStore:
    """Open the index of this account."""
    from ocattach.sessions.index.store import Index  # noqa: PLC0415 - SQLite is slow to import

    return Index(index_file(state_directory(os.environ)))


class IndexWriter:
    """New and deleted sessions that are not written yet. For one thread."""

    def __init__(self, open_store: Callable[[], SessionStore], connections: UsedConnections) -> None:
        self._open_store = open_store
        self._store: SessionStore | None = None
        self._connections = connections
        self._unwritten: dict[str, Session] = {}
        self._deleted: set[str] = set()
        self._write_at = 0.0

    @property
    def write_at(self) -> float | None:
        """When `write_due` has something to do, by the monotonic clock."""
        return self._write_at if self._unwritten or self._deleted else None

    def put(self, sessions: Iterable[Session]) -> None:
        """Write sessions soon, also those before an exception of the iterator."""
        self._unwritten.update((each.id, each) for each in sessions)

    def forget(self, session: Session) -> None:
        """Remove a session soon."""
        self._unwritten.pop(session.id, None)
        self._deleted.add(session.id)

    def write_due(self, environment: str, opened: ExitStack) -> None:
        """Write what is due, not too often. The store is closed with `opened`."""
        if self.write_at is None or time.monotonic() < self.write_at:
            return
        self._write_at = time.monotonic() + WRITE_SECONDS
        sessions, deleted = list(self._unwritten.values()), list(self._deleted)
        self._unwritten, self._deleted = {}, set()
        try:
            if self._store is None:
                self._store = self._open_store()
                opened.callback(self._store.close)
            used = self._connections
            self._store.put(sessions, environment, time.time(), uri=used.uri, place=used.place)
            self._store.forget(deleted, environment)
        except OcattachError as error:
            log.info("Could not update the index: %s", error)
