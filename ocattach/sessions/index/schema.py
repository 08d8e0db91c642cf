"""The tables of the index, and their migration."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

STEPS = (
    """
    CREATE TABLE environments (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        uri TEXT NOT NULL DEFAULT '',
        asked REAL NOT NULL DEFAULT 0,
        walked REAL
    );
    CREATE TABLE sessions (
        id TEXT NOT NULL,
        environment INTEGER NOT NULL REFERENCES environments(number),
        root INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        origin TEXT NOT NULL,
        native INTEGER NOT NULL,
        title TEXT NOT NULL,
        directory TEXT NOT NULL,
        project TEXT NOT NULL,
        parent TEXT,
        created INTEGER NOT NULL,
        archived INTEGER,
        cost REAL NOT NULL,
        input INTEGER NOT NULL,
        output INTEGER NOT NULL,
        reasoning INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        agent TEXT NOT NULL,
        seen REAL NOT NULL,
        PRIMARY KEY (id, environment)
    ) WITHOUT ROWID;
    CREATE INDEX sessions_latest ON sessions (root, updated);
    CREATE INDEX sessions_of_environment ON sessions (environment, updated);
    CREATE TABLE tallies (
        environment INTEGER NOT NULL,
        origin TEXT NOT NULL,
        roots INTEGER NOT NULL,
        sessions INTEGER NOT NULL,
        cost REAL NOT NULL,
        PRIMARY KEY (environment, origin)
    ) WITHOUT ROWID;
    CREATE TRIGGER tally_new AFTER INSERT ON sessions BEGIN
        INSERT INTO tallies VALUES (NEW.environment, NEW.origin, NEW.root, 1, NEW.cost)
        ON CONFLICT DO UPDATE SET
            roots = roots + NEW.root, sessions = sessions + 1, cost = cost + NEW.cost;
    END;
    CREATE TRIGGER tally_gone AFTER DELETE ON sessions BEGIN
        UPDATE tallies SET roots = roots - OLD.root, sessions = sessions - 1, cost = cost - OLD.cost
        WHERE environment = OLD.environment AND origin = OLD.origin;
    END;
    CREATE TRIGGER tally_changed AFTER UPDATE OF origin, root, cost ON sessions
    WHEN OLD.origin <> NEW.origin OR OLD.root <> NEW.root OR OLD.cost <> NEW.cost BEGIN
        UPDATE tallies SET roots = roots - OLD.root, sessions = sessions - 1, cost = cost - OLD.cost
        WHERE environment = OLD.environment AND origin = OLD.origin;
        INSERT INTO tallies VALUES (NEW.environment, NEW.origin, NEW.root, 1, NEW.cost)
        ON CONFLICT DO UPDATE SET
            roots = roots + NEW.root, sessions = sessions + 1, cost = cost + NEW.cost;
    END;
    """,
    """
    CREATE TABLE statuses (
        connection TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        asked REAL NOT NULL,
        port INTEGER,
        version TEXT
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE sessions ADD COLUMN first_seen REAL NOT NULL DEFAULT 0;
    ALTER TABLE environments ADD COLUMN place TEXT NOT NULL DEFAULT '';
    CREATE TABLE chosen (
        session TEXT PRIMARY KEY,
        environment TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
)
"""Each step migrates from the version that is its number to the next. Published steps never change."""

VERSION = len(STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a file's tables; 0 for a new file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Migrate the tables to the current version, in one transaction."""
    if version_of(connection) == len(steps):
        return
    with transaction(connection):
        for step in steps[version_of(connection) :]:
            for statement in statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run statements as one transaction, which has the write lock from its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some errors have rolled it back already
            connection.execute("ROLLBACK")
        raise


def statements(script: str) -> list[str]:
    """Split a script into statements, each of which begins on a new line. `executescript` would commit between them."""
    found, begun = [], ""
    for line in script.splitlines():
        begun += line + "\n"
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found
