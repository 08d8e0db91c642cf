"""The file of the index: opens it with the current tables, and replaces it if it is damaged."""

import os
import sqlite3
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ocattach.config.files.owner import check_own
from ocattach.config.files.safe import locked, private_directory
from ocattach.errors import OcattachError
from ocattach.execution import on_error
from ocattach.printable import command_line
from ocattach.sessions.index.rows import SELECT
from ocattach.sessions.index.schema import VERSION, migrate, version_of

BUSY_SECONDS = 10.0
"""How long to wait for other writers. Each locks the file for a few milliseconds."""

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class IndexUnusableError(OcattachError, code="index-unusable"):
    """The index cannot be used. Its content can be queried from the environments."""


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, and create it if it is missing.

    Raises sqlite3.DatabaseError if it is damaged, IndexUnusableError otherwise.
    """
    try:
        private_directory(path.parent)
        create(path)
        check_own(path, path.stat(), path.parent)
    except OcattachError as error:
        raise IndexUnusableError(error.message, hint=error.hint) from error
    except OSError as error:
        raise IndexUnusableError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        return connect(path)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise
        raise unusable(path, error) from error


def create(path: Path) -> None:
    """Make an empty file that only this account can read, if there is none.

    SQLite would give it the mode 0644; its -wal and -shm files get its mode (sqlite.org/wal.html). The file is never
    opened under its own name: closing it would release the locks that SQLite has on it in other threads, and another
    process would then remove their -wal file (sqlite.org/howtocorrupt.html, 2.2).
    """
    if path.exists():
        return
    with locked(path.parent):
        if not path.exists():
            target = path.resolve()
            descriptor, made = tempfile.mkstemp(prefix=path.name, dir=target.parent)
            os.close(descriptor)
            Path(made).replace(target)


def replace_file(path: Path) -> Path | None:
    """Rename a damaged file, and return its new path; None if another process has replaced it."""
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
    """Open the file and migrate its tables.

    Raises sqlite3.DatabaseError; with `thoroughly` also for damage that opening does not find.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    with on_error(connection.close):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = NORMAL"
        )  # the last transactions may be lost in a power failure
        check_version(connection, path)
        migrate(connection)
        if thoroughly:
            check_content(connection)
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise IndexUnusableError if a newer version wrote the tables."""
    if version_of(connection) > VERSION:
        raise IndexUnusableError(
            f"{path} was written by a newer ocattach",
            hint=f"Update ocattach, or remove it: {command_line('rm', path)}",
        )


def check_content(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if the content is damaged."""
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result)
    connection.execute(f"{SELECT} LIMIT 1")
    connection.execute("SELECT * FROM tallies LIMIT 1")
    connection.execute("SELECT * FROM statuses LIMIT 1")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the file is damaged. The low byte of the code is the primary result code (sqlite3.h)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    # "no such table" (1) in a file with the current version: its tables are gone.
    return code & 0xFF in DAMAGED or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))


def unusable(path: Path, error: sqlite3.DatabaseError) -> IndexUnusableError:
    """Return the error for an error of SQLite."""
    return IndexUnusableError(f"{path} cannot be used: {error}")
