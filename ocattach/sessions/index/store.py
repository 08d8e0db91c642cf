"""The index: what each environment had when it was last queried, in one SQLite file.

It has titles and numbers, no messages, and can be rebuilt from the environments: a damaged file is replaced. Any number
of processes use it at once, and each may be killed at any time.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, TypeVar

from ocattach.config.files.paths import state_directory
from ocattach.sessions.index import index_file
from ocattach.sessions.index.claims import Claims, read_claims
from ocattach.sessions.index.file import is_damage, open_file, replace_file, unusable
from ocattach.sessions.index.rows import (
    AMOUNTS,
    JOINED,
    NOT_ARCHIVED,
    PUT,
    SELECT,
    SUMMED,
    Covered,
    IndexedEnvironment,
    IndexedSession,
    LastStatus,
    Tally,
    Total,
    Wanted,
    from_row,
    to_row,
    to_total,
)
from ocattach.sessions.index.schema import transaction
from ocattach.sessions.record import Session

T = TypeVar("T")

KEPT = 100_000
"""The largest number of sessions of one environment: as many as are read from it. The latest are kept."""

STATUS_SECONDS = 90 * 24 * 3600
"""How long the status of a connection is kept."""


class Index(AbstractContextManager["Index"]):
    """The open file. For one thread; close it, or use `with`."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it if it is missing. Raises IndexUnusableError."""
        self.path = path
        self.put_aside: Path | None = None
        """Where a damaged file is now."""
        self._connection: sqlite3.Connection | None = None
        self._do(lambda _: None)

    @property
    def notice(self) -> str | None:
        """What to report about the file after use; None for nothing."""
        if self.put_aside is None:
            return None
        return f"The index was damaged and is rebuilt from the environments; the old file: {self.put_aside}"

    def put(
        self,
        sessions: Iterable[Session],
        environment: str,
        asked: float,
        *,
        uri: str = "",
        place: str = "",
        covered: Covered | None = None,
    ) -> None:
        """Store the sessions that an environment reported, and with `covered` remove those that it did not."""
        rows = [each for each in sessions if each.environment == environment]
        walked = asked if covered is not None and covered.above == 0 else None

        def write(connection: sqlite3.Connection) -> None:
            number = number_of(connection, IndexedEnvironment(environment, uri, asked, walked, place))
            connection.executemany(PUT, [to_row(each, number, asked) for each in rows])
            if covered is not None:
                forget_gone(connection, number, {each.id for each in rows}, covered)
            forget_oldest(connection, number)

        self._write(write)

    def forget(self, sessions: Sequence[str], environment: str) -> None:
        """Remove an environment's sessions and their children. What others reported under the same ids stays."""

        def write(connection: sqlite3.Connection) -> None:
            delete(connection, number_of(connection, IndexedEnvironment(environment)), sessions)

        self._write(write)

    def claims(self, session: str | None = None) -> dict[str, Claims]:
        """Return the reports of a session, or of all sessions that several environments reported, by session id."""
        return self._do(lambda connection: read_claims(connection, session))

    def choose(self, session: str, environment: str) -> None:
        """Store that the user means this environment by a session's id."""
        self._rows("INSERT OR REPLACE INTO chosen VALUES (?, ?)", session, environment)

    def chosen(self, session: str) -> str | None:
        """Return the environment that the user has chosen for a session; None without a choice."""
        rows = self._rows("SELECT environment FROM chosen WHERE session = ?", session)
        return next((environment for (environment,) in rows), None)

    def find(self, session: str) -> list[IndexedSession]:
        """Return a session from every environment that had it, the last report first."""
        return [
            from_row(row) for row in self._rows(f"{SELECT} WHERE sessions.id = ? ORDER BY seen DESC", session)
        ]

    def beginning_with(self, text: str, *, limit: int) -> list[str]:
        """Return ids of sessions that begin with a text."""
        query = "SELECT DISTINCT id FROM sessions WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
        return [session for (session,) in self._rows(query, len(text), text, limit)]

    def latest(
        self, wanted: Wanted, *, limit: int | None, keep: Callable[[Session], bool] = lambda _: True
    ) -> list[IndexedSession]:
        """Return the matching sessions, each once, the latest update first; `keep` is a further filter."""
        terms, values = wanted.conditions()

        def read(connection: sqlite3.Connection) -> list[IndexedSession]:
            found: list[IndexedSession] = []
            for root in (1, 0) if wanted.children else (1,):
                where = " AND ".join(["root = ?", *terms])
                query = f"{SELECT} WHERE {where} ORDER BY updated DESC"
                seen: set[str] = set()
                with closing(connection.execute(query, (root, *values))) as rows:
                    for row in rows:
                        known = from_row(row)
                        if known.session.id not in seen and keep(known.session):
                            seen.add(known.session.id)
                            found.append(known)
                        if limit is not None and len(seen) >= limit:
                            break
            found.sort(key=lambda known: known.session.updated, reverse=True)
            return found[:limit]

        return self._do(read)

    def count(self, wanted: Wanted) -> int:
        """Return the number of matching sessions."""
        terms, values = wanted.conditions()
        if wanted.search or wanted.since is not None:
            terms += [] if wanted.children else ["root = 1"]
            query = f"SELECT count(*) FROM {JOINED}"  # noqa: S608
        else:  # from the sums, which include the few archived sessions
            terms = [term for term in terms if term != NOT_ARCHIVED]
            what = "sessions" if wanted.children else "roots"
            query = f"SELECT coalesce(sum({what}), 0) FROM tallies JOIN environments ON environment = number"  # noqa: S608
        query += f" WHERE {' AND '.join(terms)}" if terms else ""
        ((count,),) = self._rows(query, *values)
        return int(count)

    def tallies(self, environment: str | None = None) -> dict[tuple[str, str], Tally]:
        """Return the sums by environment and origin, of all environments or of one."""
        query = (
            "SELECT id, origin, roots, sessions, cost FROM tallies "
            "JOIN environments ON environment = number WHERE sessions > 0"
        )
        rows = self._rows(query) if environment is None else self._rows(f"{query} AND id = ?", environment)
        return {
            (where, origin): Tally(roots, sessions, max(0.0, round(cost, 9)))
            for where, origin, roots, sessions, cost in rows
        }

    def totals(self, wanted: Wanted) -> list[Total]:
        """Return the sums by origin and model, the highest cost first. A session in two environments counts once."""
        terms, values = wanted.conditions()
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        sums = ", ".join(f"sum({name})" for name in ("root", "cost", *AMOUNTS))
        query = (
            f"SELECT origin, provider, model, count(*), {sums} FROM "  # noqa: S608
            f"(SELECT {SUMMED}, min(first_seen) FROM {JOINED}{where} GROUP BY sessions.id) "
            "GROUP BY origin, provider, model ORDER BY 6 DESC, 4 DESC, 1"
        )
        return [to_total(row) for row in self._rows(query, *values)]

    def newest(self, environment: str) -> int | None:
        """Return the latest update in an environment, in milliseconds since the epoch; None without sessions."""
        query = "SELECT max(updated) FROM sessions JOIN environments ON environment = number WHERE environments.id = ?"
        ((newest,),) = self._rows(query, environment)
        return None if newest is None else int(newest)

    def environments(self, environment: str | None = None) -> dict[str, IndexedEnvironment]:
        """Return all environments by id, or one of them."""
        query = "SELECT id, uri, asked, walked, place FROM environments"
        rows = self._rows(query) if environment is None else self._rows(f"{query} WHERE id = ?", environment)
        return {row[0]: IndexedEnvironment(*row) for row in rows}

    def put_statuses(self, statuses: Mapping[str, LastStatus]) -> None:
        """Store the statuses of connections, each by a key that the caller chooses."""
        rows = [(key, each.state, each.asked, each.port, each.version) for key, each in statuses.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO statuses VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("DELETE FROM statuses WHERE asked < ?", (time.time() - STATUS_SECONDS,))

        self._write(write)

    def statuses(self) -> dict[str, LastStatus]:
        """Return the stored statuses by their keys."""
        rows = self._rows("SELECT connection, state, asked, port, version FROM statuses")
        return {key: LastStatus(*values) for key, *values in rows}

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._do(lambda connection: connection.execute(query, values).fetchall())

    def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        def write_all(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                write(connection)

        self._do(write_all)

    def _do(self, what: Callable[[sqlite3.Connection], T], *, may_replace: bool = True) -> T:
        """Run a query. A file that proves to be damaged is replaced first."""
        try:
            if self._connection is None:
                self._connection = open_file(self.path)
            return what(self._connection)
        except sqlite3.DatabaseError as error:
            if not (may_replace and is_damage(error)):
                raise unusable(self.path, error) from error
        self.close()
        self.put_aside = replace_file(self.path) or self.put_aside
        return self._do(what, may_replace=False)


def open_index(environ: Mapping[str, str]) -> Index:
    """Open the index of this account. Raises IndexUnusableError."""
    return Index(index_file(state_directory(environ)))


def number_of(connection: sqlite3.Connection, environment: IndexedEnvironment) -> int:
    """Return the row number of an environment, after updating the row."""
    connection.execute(
        "INSERT INTO environments (id, uri, asked, walked, place) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET uri = coalesce(nullif(excluded.uri, ''), uri), "
        "asked = max(asked, excluded.asked), walked = coalesce(excluded.walked, walked), "
        "place = coalesce(nullif(excluded.place, ''), place)",
        (environment.id, environment.uri, environment.asked, environment.walked, environment.place),
    )
    (number,) = connection.execute(
        "SELECT number FROM environments WHERE id = ?", (environment.id,)
    ).fetchone()
    return int(number)


def forget_gone(connection: sqlite3.Connection, number: int, reported: set[str], covered: Covered) -> None:
    """Delete the sessions in the covered range that were not reported."""
    only = "" if covered.children else "AND root = 1 "
    only += "" if covered.archived else f"AND {NOT_ARCHIVED}"
    known = connection.execute(
        f"SELECT id FROM sessions WHERE environment = ? AND updated > ? AND seen < ? {only}",  # noqa: S608
        (number, covered.above, covered.began),
    )
    delete(connection, number, [identifier for (identifier,) in known if identifier not in reported])


def delete(connection: sqlite3.Connection, number: int, sessions: Iterable[str]) -> None:
    """Delete sessions of an environment, and their children."""
    gone = [(number, session) for session in sessions]
    connection.executemany("DELETE FROM sessions WHERE environment = ? AND id = ?", gone)
    connection.executemany("DELETE FROM sessions WHERE environment = ? AND root = 0 AND parent = ?", gone)


def forget_oldest(connection: sqlite3.Connection, number: int) -> None:
    """Delete the sessions of an environment beyond the limit, those that were updated first."""
    (count,) = connection.execute(
        "SELECT coalesce(sum(sessions), 0) FROM tallies WHERE environment = ?", (number,)
    ).fetchone()
    if count > KEPT:
        connection.execute(
            "DELETE FROM sessions WHERE environment = ? AND id IN "
            "(SELECT id FROM sessions WHERE environment = ? ORDER BY updated LIMIT ?)",
            (number, number, count - KEPT),
        )
