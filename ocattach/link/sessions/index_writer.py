"""Keeps the index up to date with the sessions of a link's daemon."""

import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ocattach.errors import OcattachError
from ocattach.link.sessions.connections import UsedConnections
from ocattach.sessions.record import Session

if TYPE_CHECKING:
    from ocattach.sessions.index.store import Index

WRITE_SECONDS = 1.0
"""The shortest time between two writes to the index."""

log = logging.getLogger(__name__)


def open_own_index() -> "Index":
    """Open the index of this account."""
    from ocattach.sessions.index.store import open_index  # noqa: PLC0415 - SQLite is slow to import

    return open_index(os.environ)


class IndexWriter:
    """New and deleted sessions that are not written yet. For one thread."""

    def __init__(self, open_index: Callable[[], "Index"], connections: UsedConnections) -> None:
        self._open_index = open_index
        self._index: Index | None = None
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
        """Write what is due, not too often. The index is closed with `opened`."""
        if self.write_at is None or time.monotonic() < self.write_at:
            return
        self._write_at = time.monotonic() + WRITE_SECONDS
        sessions, deleted = list(self._unwritten.values()), list(self._deleted)
        self._unwritten, self._deleted = {}, set()
        try:
            if self._index is None:
                self._index = self._open_index()
                opened.callback(self._index.close)
            used = self._connections
            self._index.put(sessions, environment, time.time(), uri=used.uri, place=used.place)
            self._index.forget(deleted, environment)
        except OcattachError as error:
            log.info("Could not update the index: %s", error)
