"""OpenCode's database of this machine, for what a plain `opencode` has made while no daemon runs that could tell.

It is only read, and in the words of the API. OpenCode makes the file on its first run, and adds columns to it with its
versions (`opencode db path`, 1.18.33; it was not there in 1.1.65): what is missing counts as not told.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ocattach.opencode.sessions import PAGE, Content, Page, SessionFilter

BUSY_SECONDS = 1.0
"""How long is waited for who has the file for himself: nobody has, while OpenCode keeps its journal (WAL)."""

COLUMNS = {
    "id": "id",
    "parent_id": "parentID",
    "title": "title",
    "directory": "directory",
    "project_id": "projectID",
    "agent": "agent",
    "cost": "cost",
    "model": "model",
    "metadata": "metadata",
    "time_created": "time.created",
    "time_updated": "time.updated",
    "time_archived": "time.archived",
    "tokens_input": "tokens.input",
    "tokens_output": "tokens.output",
    "tokens_reasoning": "tokens.reasoning",
    "tokens_cache_read": "tokens.cache.read",
    "tokens_cache_write": "tokens.cache.write",
}
"""The columns that are read, and where the API has the same."""

JSON = {"model", "metadata"}
"""Columns that hold JSON."""


def database_file(environ: Mapping[str, str]) -> Path | None:
    """Where OpenCode keeps its sessions on this machine; None where it keeps them in memory alone."""
    data = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home(), ".local", "share")
    name = environ.get("OPENCODE_DB") or "opencode.db"
    return None if name == ":memory:" else Path(data, "opencode", name)


def stored_pages(file: Path, choice: SessionFilter, *, limit: int = PAGE) -> Iterator[Page]:
    """The sessions in OpenCode's database, the latest first, in pages of so many.

    Raises sqlite3.Error where there is none that can be read.
    """
    with closing(open_database(file)) as connection:
        columns = [name for name in COLUMNS if name in columns_of(connection)]
        select = f"SELECT {', '.join(columns)} FROM session WHERE time_updated >= ?"  # noqa: S608 - names of ours
        rows = connection.execute(f"{select} ORDER BY time_updated DESC", [choice.since or 0])
        fetched = rows.fetchmany(limit)
        is_last = False
        while not is_last:
            following = rows.fetchmany(limit)
            is_last = not following
            found = [content_of(dict(zip(columns, row, strict=True))) for row in fetched]
            yield Page([each for each in found if choice.takes(each)], is_last=is_last)
            fetched = following


def open_database(file: Path) -> sqlite3.Connection:
    """The database, to be read. Raises sqlite3.Error."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)


def columns_of(connection: sqlite3.Connection) -> set[str]:
    """The columns that sessions have in this version. Raises sqlite3.Error."""
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('session')")}


def content_of(row: Mapping[str, Any]) -> Content:
    """A session as the API would have it."""
    content: Content = {}
    for column, value in row.items():
        *places, name = COLUMNS[column].split(".")
        place = content
        for each in places:
            place = place.setdefault(each, {})
        place[name] = parsed(value) if column in JSON else value
    return content


def parsed(text: Any) -> Any:
    """What a column's JSON says; None where it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
