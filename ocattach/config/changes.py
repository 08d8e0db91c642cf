"""Changes of what the user has saved: removes and renames connections, and sets the default."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ocattach.config.files.owner import read_own_text
from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.files.safe import locked, write_text
from ocattach.config.files.yaml_merge import merge_mapping, write_mapping
from ocattach.config.files.yaml_text import read_mapping
from ocattach.config.last_used import rename_use
from ocattach.config.names import LOCAL
from ocattach.config.resolver import in_project
from ocattach.config.saved import SavedConnections
from ocattach.config.settings import FILE, load_settings
from ocattach.errors import ConfigurationError, UsageError


def remove_connection(name: str, *, cwd: Path, environ: Mapping[str, str]) -> bool:
    """Remove a saved connection. Returns whether it was the default, which is removed with it.

    Raises UsageError for one that only a project file defines, naming the file.
    """
    own_connections(name, cwd, environ).remove(name)
    return follow(name, None, environ)


def rename_connection(old: str, new: str, *, cwd: Path, environ: Mapping[str, str]) -> None:
    """Rename a saved connection, also in the default, with its last use. Raises UsageError as above."""
    own_connections(old, cwd, environ).rename(old, new)
    rename_use(old, new, state_directory(environ))
    follow(old, new, environ)


def set_default(name: str | None, *, cwd: Path, environ: Mapping[str, str]) -> None:
    """Set the user's own default, a saved connection or `local`; None for none. Raises UsageError as above."""
    if name is not None and name != LOCAL:
        own_connections(name, cwd, environ).check_exists(name)
    write_default(name, environ)


def follow(old: str, new: str | None, environ: Mapping[str, str]) -> bool:
    """Set the default to `new` if it is `old`. Returns whether it was."""
    with suppress(ConfigurationError):  # settings that cannot be used have no default
        if load_settings(config_directory(environ)).default == old:
            write_default(new, environ)
            return True
    return False


def write_default(name: str | None, environ: Mapping[str, str]) -> None:
    """Write the default into the settings, and keep comments and other settings.

    Raises ConfigurationError for settings that cannot be used.
    """
    directory = config_directory(environ)
    with locked(directory):
        if load_settings(directory).default == name:
            return
        path = (directory / FILE).resolve()  # a symbolic link stays one
        former = read_own_text(path) or ""
        others = {key: value for key, value in read_mapping(former, path).items() if key != "default"}
        mapping = {**others, "default": name} if name else others
        write_text(path, merge_mapping(former, write_mapping(mapping) if mapping else "", path))


def own_connections(name: str, cwd: Path, environ: Mapping[str, str]) -> SavedConnections:
    """The saved connections. Raises UsageError if only a project file defines this name, naming the file."""
    saved = SavedConnections(config_directory(environ))
    if name not in saved.names():
        spec = in_project(name, cwd)
        if spec is not None:
            raise UsageError(
                f"{name} is not a saved connection: it is defined by {spec.source.path}",
                hint="To change it, edit that file",
            )
    return saved
