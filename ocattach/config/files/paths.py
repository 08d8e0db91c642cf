"""Directories for configuration, state and sockets.

The variables OCATTACH_*_DIR take precedence over those of the XDG Base Directory Specification.
"""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ocattach.errors import ConfigurationError
from ocattach.printable import command_line

APPLICATION = "ocattach"

LONGEST_SOCKET_PATH = 104
"""Size of the path of a socket on macOS, including the final NUL; on Linux it is 108."""

SOCKET_NAME = 24
"""Reserved for the name of a socket: the key of a link and an extension."""

LONGEST_RUNTIME_DIRECTORY = LONGEST_SOCKET_PATH - SOCKET_NAME - len("/\0")
"""Maximum length of the path of a directory for sockets, in bytes."""

OWN_DIRECTORY = "Use another directory: export OCATTACH_RUNTIME_DIR=$HOME/.ocattach"
"""The hint if the default directory cannot be used."""

HOMES = {"CONFIG": ("XDG_CONFIG_HOME", "~/.config"), "STATE": ("XDG_STATE_HOME", "~/.local/state")}
"""The variable that names the directory of all programs, and the directory without it (the specification)."""

MACOS_HOME = "~/Library/Application Support"

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def config_directory(environ: Mapping[str, str]) -> Path:
    """The directory of saved connections and settings; it need not exist."""
    return user_directory(environ, "CONFIG")


def state_directory(environ: Mapping[str, str]) -> Path:
    """The directory of approvals, the index and logs; it need not exist."""
    return user_directory(environ, "STATE")


def runtime_directory(environ: Mapping[str, str]) -> Path:
    """The directory of the sockets of links, created if missing.

    Raises ConfigurationError if its path is too long for sockets, or if other users can access it.
    """
    chosen = override(environ, "OCATTACH_RUNTIME_DIR")
    path = chosen or login_directory(environ) or Path("/tmp") / f"{APPLICATION}-{os.getuid()}"  # noqa: S108 - owner and mode are checked
    if chosen and not fits_sockets(chosen):
        raise ConfigurationError(
            f"OCATTACH_RUNTIME_DIR is too long for the path of a socket: {chosen}",
            hint=f"Use a path of at most {LONGEST_RUNTIME_DIRECTORY} bytes",
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be created: {error.strerror}", hint=OWN_DIRECTORY) from error
    check_private(path, found)
    return path


def user_directory(environ: Mapping[str, str], kind: Literal["CONFIG", "STATE"]) -> Path:
    """The directory of OCATTACH_CONFIG_DIR or OCATTACH_STATE_DIR, else where `platformdirs` has it.

    That library would be a tenth of a warm start.
    """
    chosen = override(environ, f"OCATTACH_{kind}_DIR")
    if chosen:
        return chosen
    variable, usual = HOMES[kind]
    home = environ.get(variable, "")
    if home.startswith("/"):
        return Path(home, APPLICATION)
    return Path(MACOS_HOME if sys.platform == "darwin" else usual, APPLICATION).expanduser()


def login_directory(environ: Mapping[str, str]) -> Path | None:
    """The directory below XDG_RUNTIME_DIR; None if that is too long, or of another user, as it can be under sudo."""
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
            hint=f"Begin it with /, or remove it: {command_line('unset', variable)}",
        )
    return Path(value)


def fits_sockets(directory: Path) -> bool:
    """Whether paths of sockets in a directory are short enough for every system."""
    return len(os.fsencode(directory)) <= LONGEST_RUNTIME_DIRECTORY


def check_private(path: Path, found: os.stat_result) -> None:
    """Raise ConfigurationError for a directory that other users can access, or its owner cannot use."""
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(
            f"{path} is not a directory", hint=f"Check it and remove it: {command_line('ls', '-ld', path)}"
        )
    if found.st_uid != os.getuid():
        raise ConfigurationError(f"{path} belongs to another user", hint=OWN_DIRECTORY)
    if found.st_mode & OTHERS or found.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        whom = "accessible to other users" if found.st_mode & OTHERS else "closed to its owner"
        raise ConfigurationError(
            f"{path} is {whom}",
            hint=f"Change its mode: {command_line('chmod', 700, path)}",
        )
