"""When each connection was last used, stored as the modification time of an empty file."""

from contextlib import suppress
from pathlib import Path

from ocattach.config.files.safe import private_directory
from ocattach.config.names import is_name


def record_use(name: str, state_directory: Path) -> None:
    """Record that a connection is used now. A file that cannot be written is ignored."""
    if is_name(name):
        with suppress(OSError):
            private_directory(state_directory / "used")
            used_file(name, state_directory).touch(mode=0o600)


def last_used(name: str, state_directory: Path) -> float | None:
    """When a connection was last used, in seconds since the epoch; None for never."""
    try:
        return used_file(name, state_directory).stat().st_mtime
    except OSError:
        return None


def rename_use(old: str, new: str, state_directory: Path) -> None:
    """Move the time of a connection to its new name. A file that cannot be moved is ignored."""
    with suppress(OSError):
        used_file(old, state_directory).replace(used_file(new, state_directory))


def used_file(name: str, state_directory: Path) -> Path:
    """The file whose modification time is used."""
    return state_directory / "used" / name
