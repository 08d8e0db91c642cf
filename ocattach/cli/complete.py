"""Completions of names and session ids, from files on this machine only."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocattach.config.files.paths import config_directory, state_directory
from ocattach.errors import OcattachError
from ocattach.printable import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

OFFERED = 200
"""Maximum number of session ids, the latest first."""


def connection_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Complete the names of saved connections and of those that the project defines."""
    from ocattach.config.project import project_definitions  # noqa: PLC0415 - when somebody presses Tab

    names = dict.fromkeys(saved(), "saved by you")
    for definition in project_definitions(Path.cwd()):
        if definition.name:
            names.setdefault(definition.name, "defined by the project")
    return offers(names, incomplete)


def saved_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Complete the names of saved connections."""
    return offers(dict.fromkeys(saved(), "saved by you"), incomplete)


def session_ids(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Complete the ids of the latest sessions in the index."""
    from ocattach.sessions.index.rows import Wanted  # noqa: PLC0415
    from ocattach.sessions.index.store import Index  # noqa: PLC0415 - when somebody presses Tab
    from ocattach.sessions.names import index_file  # noqa: PLC0415

    file = index_file(state_directory(os.environ))
    if not file.exists():
        return []
    try:
        with Index(file) as index:
            known = index.latest(Wanted(), limit=OFFERED)
    except OcattachError:  # no messages during completion
        return []
    told = {each.session.id: f"{each.session.origin}: {each.session.title}" for each in known}
    return offers({session: printable(words) for session, words in told.items()}, incomplete)


def saved() -> list[str]:
    """The names of saved connections, without reading their files."""
    from ocattach.config.saved import SavedConnections  # noqa: PLC0415 - when somebody presses Tab

    try:
        return SavedConnections(config_directory(os.environ)).names()
    except OcattachError:  # no messages during completion
        return []


def offers(names: dict[str, str], incomplete: str) -> "list[CompletionItem]":
    """The names that begin with the typed text, with their help."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - when somebody presses Tab

    return [
        CompletionItem(name, help=told) for name, told in sorted(names.items()) if name.startswith(incomplete)
    ]
