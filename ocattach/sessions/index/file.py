"""The index's file: opened with today's tables, and put aside where it is damaged."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ocattach.config.files.safe import locked, private_directory
from ocattach.errors import OcattachError
from ocattach.sessions.index.rows import SELECT
from ocattach.sessions.index.schema import VERSION, migrate, version_of

BUSY_SECONDS = 10.0
"""How long one waits for the others who write; each holds the file for some milliseconds."""

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class IndexUnusableError(OcattachError):
    """The index cannot be used just now; all that it would have told can be asked of the environments."""

    code = "index-unusable"


def open_file(path: Path) -> sqlite3.Connection:
    """The file, made where there is none. Raises sqlite3.DatabaseError where it is damaged, IndexUnusableError."""
    try:
        private_directory(path.parent)
        # SQLite would make it readable for others; what lies beside it has its mode (sqlite.org/wal.html).
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise IndexUnusableError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        return connect(path)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise
        raise unusable(path, error) from error


def replace_file(path: Path) -> Path | None:
    """Put a damaged file aside, and give where it is now; None where another process has just done so."""
    with locked(path.parent):
        with suppress(sqlite3.DatabaseError):
            connect(path, thoroughly=True).close()
            return None
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        with suppress(FileNotFoundError):
            path.replace(aside)
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        return aside


def connect(path: Path, *, thoroughly: bool = False) -> sqlite3.Connection:
    """The file with today's tables. Raises sqlite3.DatabaseError, `thoroughly` also for damage deep in it."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # after a power cut the last words may be lost
        check_version(connection, path)
        migrate(connection)
        if thoroughly:
            check_content(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise IndexUnusableError for tables that we cannot know."""
    if version_of(connection) > VERSION:
        raise IndexUnusableError(
            f"{path} was made by a newer ocattach", hint=f"Update ocattach, or remove it: rm {path}"
        )


def check_content(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError for damage that opening a file does not meet."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(said)
    connection.execute(f"{SELECT} LIMIT 1")
    connection.execute("SELECT * FROM tallies LIMIT 1")
    connection.execute("SELECT * FROM statuses LIMIT 1")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether an error is the file's, and not of the moment or of the disk; the low byte says which (sqlite3.h)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    # "no such table" (1) of a file that has today's version: its tables are gone.
    return code & 0xFF in DAMAGED or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))


def unusable(path: Path, error: sqlite3.DatabaseError) -> IndexUnusableError:
    """The error of ours for one of SQLite's."""
    return IndexUnusableError(f"{path} cannot be used: {error}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; who comes second waits at the beginning, and not with half of it done."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # some errors have rolled it back by themselves
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
