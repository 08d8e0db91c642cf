"""The default: the connection that `ocattach` without a name connects to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.files.paths import config_directory
from ocattach.config.names import LOCAL
from ocattach.config.project import project_default
from ocattach.config.resolver import Listing
from ocattach.config.saved import SavedConnections
from ocattach.config.settings import FILE, load_settings
from ocattach.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Default:
    """A default and where it is set."""

    name: str

    path: Path | None = None
    """The file that sets it; None for a connection that is the only one."""

    is_hidden: bool = False
    """Whether a project's file names its own definition, which a saved connection hides. Then it is only offered."""


def find_default(listing: Listing, *, cwd: Path, environ: Mapping[str, str]) -> Default | None:
    """The user's own default, else the project's, else the only connection; None if the user has to choose.

    Raises ConfigurationError for a default that does not name a connection. Whether it is trusted is not checked here.
    """
    directory = config_directory(environ)
    own = load_settings(directory).default
    if own is not None:
        if own != LOCAL and own not in SavedConnections(directory).names():
            raise ConfigurationError(
                f"{directory / FILE}: default: no saved connection named {own}",
                hint="To choose another: ocattach --default NAME. To have none: ocattach --default ''",
            )
        return Default(own, directory / FILE)
    found = project_default(cwd)
    if found is not None:
        path, spec = found
        name = spec.name or ""
        return Default(name, path, is_hidden=name in SavedConnections(directory).names())
    if len(listing.connections) == 1 and not listing.problems:
        return Default(listing.connections[0].spec.name or "")
    return None
