"""The sessions in OpenCode's database on this machine, for environments in which no daemon runs."""

import sqlite3
import time
from collections.abc import Callable, Mapping

from ocattach.config.spec import ConnectionSpec
from ocattach.opencode.catalogue import Catalogue, fill
from ocattach.opencode.database import database_file, stored_pages
from ocattach.opencode.sessions import PAGE, Content, SessionFilter
from ocattach.presence import is_file


def stored_catalogue(
    spec: ConnectionSpec,
    environ: Mapping[str, str],
    choice: SessionFilter,
    *,
    enough: Callable[[list[Content]], bool],
    page: int,
) -> Catalogue | None:
    """Return the sessions of an environment in which no daemon runs; None if only a daemon can list them.

    Their activities are not included: OpenCode keeps those in memory.
    """
    if not spec.target.is_this_machine:
        return None
    inherited = {name: value for name, value in environ.items() if name not in spec.unset_env}
    file = database_file({**inherited, **dict(spec.env)})
    if file is None or not is_file(file):
        return None
    catalogue = Catalogue("", time.time())
    try:
        fill(catalogue, stored_pages(file, choice, limit=page), enough)
    except sqlite3.Error:  # a version with other tables
        return None
    return catalogue


def stored_session(session: str, spec: ConnectionSpec, environ: Mapping[str, str]) -> Content | None:
    """Return one session of an environment in which no daemon runs; None if it is not in the database."""

    def among(contents: list[Content]) -> Content | None:
        return next((each for each in contents if each.get("id") == session), None)

    catalogue = stored_catalogue(
        spec, environ, SessionFilter(archived=True), enough=lambda found: among(found) is not None, page=PAGE
    )
    return among(catalogue.sessions) if catalogue is not None else None
