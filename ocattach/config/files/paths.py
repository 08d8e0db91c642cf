"""Where our files are: configuration, state, and what lives no longer than a login.

Our own variables are read from the environment that is handed in; platformdirs knows the rest.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ocattach.errors import ConfigurationError

APPLICATION = "ocattach"

LONGEST_SOCKET_PATH = 104
"""What macOS gives the path of a socket, its final NUL included; Linux gives 108."""

SOCKET_NAME = 24
"""What we leave for the name of a socket: a link's key and an extension."""

OWN_DIRECTORY = "Take one of your own: export OCATTACH_RUNTIME_DIR=$HOME/.ocattach"
"""The next step where the usual directory cannot be used."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def config_directory(environ: Mapping[str, str]) -> Path:
    """Where saved connections and settings are kept; it need not exist."""
    return user_directory(environ, "CONFIG")


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where we keep what we remember by ourselves, such as trust; it need not exist."""
    return user_directory(environ, "STATE")


def runtime_directory(environ: Mapping[str, str]) -> Path:
    """Where links have their sockets: made if need be, on this machine, with room for a socket's name.

    Raises ConfigurationError where another user could have a hand in it.
    """
    chosen = override(environ, "OCATTACH_RUNTIME_DIR")
    path = chosen or login_directory(environ) or Path("/tmp") / f"{APPLICATION}-{os.getuid()}"  # noqa: S108 - owner and mode are checked
    if chosen and not fits_sockets(chosen):
        raise ConfigurationError(
            f"OCATTACH_RUNTIME_DIR is too long for sockets: {chosen}",
            hint=f"Choose one with at most {longest_runtime_directory()} characters",
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made: {error.strerror}", hint=OWN_DIRECTORY) from error
    check_private(path, found)
    return path


def user_directory(environ: Mapping[str, str], kind: Literal["CONFIG", "STATE"]) -> Path:
    """A directory of ours by its override, else where the platform and this process's environment have it."""
    chosen = override(environ, f"OCATTACH_{kind}_DIR")
    if chosen:
        return chosen
    from platformdirs import PlatformDirs  # noqa: PLC0415 - not where the override says all

    places = PlatformDirs(APPLICATION)
    return places.user_config_path if kind == "CONFIG" else places.user_state_path


def login_directory(environ: Mapping[str, str]) -> Path | None:
    """Our part of the directory that the system makes at login, if it is the user's and short enough.

    With `sudo` it can be another user's, where ours would be in the way.
    """
    base = Path(environ.get("XDG_RUNTIME_DIR") or "-")
    path = base / APPLICATION
    if not (base.is_absolute() and fits_sockets(path)):
        return None
    try:
        owner = base.stat().st_uid
    except OSError:
        return None
    return path if owner == os.getuid() else None


def override(environ: Mapping[str, str], variable: str) -> Path | None:
    """The directory that a variable of ours names."""
    value = environ.get(variable)
    if not value:
        return None
    if not value.startswith("/"):
        raise ConfigurationError(
            f"{variable} must be an absolute path, not {value!r}",
            hint=f"Begin it with /, or do without: unset {variable}",
        )
    return Path(value)


def fits_sockets(directory: Path) -> bool:
    """Whether the path of a socket in a directory is short enough for every system."""
    return len(os.fsencode(directory)) <= longest_runtime_directory()


def longest_runtime_directory() -> int:
    """How long the path of a directory for sockets can be, in bytes."""
    return LONGEST_SOCKET_PATH - SOCKET_NAME - len("/\0")


def check_private(path: Path, found: os.stat_result) -> None:
    """Refuse a directory that is not the user's alone."""
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(
            f"{path} is no directory", hint=f"Look at it, and move it away: ls -ld {path}"
        )
    if found.st_uid != os.getuid():
        raise ConfigurationError(f"{path} belongs to another user", hint=OWN_DIRECTORY)
    if found.st_mode & OTHERS:
        raise ConfigurationError(f"{path} is open to other users", hint=f"Close it: chmod 700 {path}")
