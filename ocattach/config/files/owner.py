"""Whether another user of this machine could have written a file, by the rules of git and ssh.

git uses no repository of another owner, and ssh (StrictModes) no world-writable file. Group-writable files are
accepted, since many systems give each user a private group.
"""

import os
import pwd
import stat
from pathlib import Path

from ocattach.config.files.safe import read_with_status
from ocattach.errors import ConfigurationError
from ocattach.printable import command_line

ROOT = 0


def read_own_text(path: Path, *above: Path) -> str | None:
    """The text of a file of the user's configuration; None if it does not exist.

    Raises what `read_text` raises, and ConfigurationError if another user could have written the file. `above` are
    directories in addition to its own whose owner could replace it.
    """
    found = read_with_status(path)
    if found is None:
        return None
    check_own(path, found[1], path.parent, *above)
    return found[0]


def check_own(path: Path, opened: os.stat_result, *above: Path) -> None:
    """Raise ConfigurationError if another user owns or can write a file, or a directory above it.

    `opened` is the status of the file that was read. A symbolic link may lead to it if the directory there, too, is
    closed to others.
    """
    if path.is_symlink():
        above = (*above, Path(os.path.realpath(path)).parent)
    for place, found in (path, opened), *((each, each.stat()) for each in above):
        if problem := reason(place, found):
            raise ConfigurationError(f"{place} {problem[0]}, so {path} is not used", hint=problem[1])


def reason(place: Path, found: os.stat_result) -> tuple[str, str] | None:
    """The problem with a file or directory and the hint that fixes it; None if there is none."""
    if found.st_uid not in owners():
        return (
            f"belongs to {account(found.st_uid)}",
            f"Change the owner: {command_line('chown', os.geteuid(), place)}",
        )
    sticky_directory = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not sticky_directory:
        return "is world-writable", f"Change its mode: {command_line('chmod', 'o-w', place)}"
    return None


def owners() -> set[int]:
    """The accepted owners: the user and root, and under sudo the user who called it."""
    user = os.geteuid()
    before = os.environ.get("SUDO_UID", "")
    return {ROOT, user, *([int(before)] if user == ROOT and before.isdecimal() else [])}


def account(uid: int) -> str:
    """The name of a user with the uid, or only the uid."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
