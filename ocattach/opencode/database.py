"""OpenCode's database on this machine: sessions of a plain `opencode`, for when no daemon runs.

It is only read, and returned in the shapes of the API. OpenCode creates it on the first run, and newer versions add
columns (`opencode db path`, 1.18.33; not in 1.1.65). Missing columns are left out.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ocattach.opencode.sessions import PAGE, Content, Page, SessionFilter, is_session_id, slim
from ocattach.untrusted_json import parse_json

BUSY_SECONDS = 1.0
"""How long to wait for a lock. There is none while OpenCode uses WAL."""

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
"""The columns that are read, and their place in the API."""

JSON = {"model", "metadata"}
"""Columns that hold JSON."""


def database_file(environ: Mapping[str, str]) -> Path | None:
    """Return the path of the database on this machine; None if OpenCode keeps sessions only in memory."""
    data = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home(), ".local", "share")
    name = environ.get("OPENCODE_DB") or "opencode.db"
    return None if name == ":memory:" else Path(data, "opencode", name)


def stored_pages(file: Path, choice: SessionFilter, *, limit: int = PAGE) -> Iterator[Page]:
    """Return the sessions in the database, the latest first.

    Raises sqlite3.Error if it cannot be read.
    """
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
        present = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('session')")}
        columns = [name for name in COLUMNS if name in present]
        select = f"SELECT {', '.join(columns)} FROM session WHERE time_updated >= ?"  # noqa: S608 - names of ours
        rows = connection.execute(f"{select} ORDER BY time_updated DESC", [choice.since or 0])
        fetched = rows.fetchmany(limit)
        is_last = False
        while not is_last:
            following = rows.fetchmany(limit)
            is_last = not following
            found = [slim(content_of(dict(zip(columns, row, strict=True)))) for row in fetched]
            taken = [each for each in found if is_session_id(each.get("id")) and choice.takes(each)]
            yield Page(taken, is_last=is_last)
            fetched = following


def content_of(row: Mapping[str, Any]) -> Content:
    """Return a session in the shape of the API."""
    content: Content = {}
    for column, value in row.items():
        *places, name = COLUMNS[column].split(".")
        place = content
        for each in places:
            place = place.setdefault(each, {})
        place[name] = parsed(value) if column in JSON else value
    return content


def parsed(text: Any) -> Any:
    """Parse the JSON in a column; None if it is invalid."""
    try:
        return parse_json(text.encode()) if isinstance(text, str) else None
    except ValueError:
        return None
