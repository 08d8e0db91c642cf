"""What this machine has while no daemon runs on it: a plain `opencode` needs none, and keeps sessions in a file."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec

if TYPE_CHECKING:
    from ocattach.opencode.catalogue import Catalogue
    from ocattach.opencode.sessions import Content, SessionFilter


def stored_file(spec: ConnectionSpec, environ: Mapping[str, str]) -> Path | None:
    """OpenCode's database, where an environment is this machine; None where it is not, and where there is none."""
    from ocattach.opencode.database import database_file  # noqa: PLC0415 - SQLite: for who finds no daemon

    if not spec.target.is_this_machine:
        return None
    theirs = {name: value for name, value in environ.items() if name not in spec.unset_env}
    file = database_file({**theirs, **dict(spec.env)})
    return file if file is not None and file.is_file() else None


def stored_catalogue(
    spec: ConnectionSpec,
    environ: Mapping[str, str],
    choice: "SessionFilter",
    *,
    enough: "Callable[[list[Content]], bool]",
    page: int,
) -> "Catalogue | None":
    """The sessions of an environment in which no daemon runs; None where only a daemon could tell them.

    What they do is not in it: OpenCode keeps that in memory.
    """
    from ocattach.opencode.catalogue import Catalogue, fill  # noqa: PLC0415 - HTTP: for who asks
    from ocattach.opencode.database import stored_pages  # noqa: PLC0415 - SQLite: as above

    file = stored_file(spec, environ)
    if file is None:
        return None
    catalogue = Catalogue("", time.time())
    try:
        fill(catalogue, stored_pages(file, choice, limit=page), enough)
    except sqlite3.Error:  # of a version that keeps them otherwise
        return None
    return catalogue


def stored_session(session: str, spec: ConnectionSpec, environ: Mapping[str, str]) -> "Content | None":
    """One session of an environment in which no daemon runs; None where it is not there, or only a daemon can tell."""
    from ocattach.opencode.sessions import PAGE, SessionFilter  # noqa: PLC0415 - HTTP: for who asks

    def among(contents: "list[Content]") -> "Content | None":
        return next((each for each in contents if each.get("id") == session), None)

    catalogue = stored_catalogue(
        spec, environ, SessionFilter(archived=True), enough=lambda found: among(found) is not None, page=PAGE
    )
    return among(catalogue.sessions) if catalogue is not None else None
