"""Whether another user of this machine could have written a file, by the rules of git and ssh.

git uses no repository of another owner, and ssh (StrictModes) no world-writable file. Group-writable files are
accepted, since many systems give each user a private group.
"""

import os
import pwd
import re
import stat
from pathlib import Path
from typing import NamedTuple

from ocattach.config.files.safe import read_with_status
from ocattach.errors import ConfigurationError
from ocattach.printable import command_line

ROOT = 0

MOUNTS = Path("/proc/self/mountinfo")
WITHOUT_MODES = {"vfat", "exfat", "ntfs", "ntfs3", "fuseblk"}
"""Types of file systems that take the modes of all files from the options of the mount (mount(8))."""

WSL_HINT = (
    'Add options = "metadata,umask=022" below [automount] in /etc/wsl.conf and run wsl.exe --shutdown, '
    "so that files there have modes"
)
"""Microsoft: "Advanced settings configuration in WSL", "File permissions for WSL"."""


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
    if not found.st_mode & stat.S_IWOTH or sticky_directory:
        return None
    mounted = mounted_at(place)
    if mounted.is_windows_drive:
        return "is world-writable, like all on a Windows drive", WSL_HINT
    if mounted.type in WITHOUT_MODES:
        remount = command_line("mount", "-o", "remount,umask=022", mounted.at)
        return (
            f"is world-writable, like all on a file system of type {mounted.type}",
            f"Remount it: {remount}",
        )
    return "is world-writable", f"Change its mode: {command_line('chmod', 'o-w', place)}"


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo (proc(5))."""

    at: str = ""
    type: str = ""
    options: str = ""

    @property
    def is_windows_drive(self) -> bool:
        """Whether it is a Windows drive in WSL on which Linux's modes are not stored: without the option metadata."""
        is_drive = self.type == "drvfs" or (self.type == "9p" and "aname=drvfs" in self.options)
        return is_drive and "metadata" not in self.options


def mounted_at(place: Path) -> Mount:
    """The mount that a path is on; an empty one where the system does not say."""
    found, whole = Mount(), Path(os.path.realpath(place))
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return found
    for before, _, after in (line.partition(" - ") for line in lines):
        at = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
        if whole.is_relative_to(at) and len(at) >= len(found.at):
            kind, _, options = after.partition(" ")
            found = Mount(at, kind, options)
    return found


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
