"""What the shell offers after Tab: names from files on this machine, and nothing that takes time."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocattach.config.paths import config_directory
from ocattach.errors import OcattachError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def connection_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Names of saved connections and of those that the project defines."""
    from ocattach.config.project import project_definitions  # noqa: PLC0415 - when somebody presses Tab

    names = dict.fromkeys(saved(), "saved by you")
    for definition in project_definitions(Path.cwd()):
        if definition.name:
            names.setdefault(definition.name, "defined by the project")
    return offers(names, incomplete)


def saved_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Names of saved connections."""
    return offers(dict.fromkeys(saved(), "saved by you"), incomplete)


def saved() -> list[str]:
    """The names of the user's own connections, whose files are not read."""
    from ocattach.config.saved import SavedConnections  # noqa: PLC0415 - when somebody presses Tab

    try:
        return SavedConnections(config_directory(os.environ)).names()
    except OcattachError:  # nothing can be said on the line that is being typed
        return []


def offers(names: dict[str, str], incomplete: str) -> "list[CompletionItem]":
    """The names that begin with what has been typed."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - when somebody presses Tab

    return [
        CompletionItem(name, help=told) for name, told in sorted(names.items()) if name.startswith(incomplete)
    ]
