"""Whether anybody but the user could have written a project's file, by the rules of git and ssh.

git uses no repository that somebody else owns, unless `safe.directory` names it, and ssh (StrictModes) no file that
everybody may write. A definition is approved by its content all the same; here nobody is even asked about one that
another user of this machine may have slipped in. A group may write: many systems give each user one of their own.
"""

import os
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ocattach.errors import ConfigurationError

ROOT = 0
GIT_SECONDS = 5
OWN_FOLDER = ".opencode"


def check_ownership(
    path: Path, opened: os.stat_result, tree: Sequence[Path], environ: Mapping[str, str] = os.environ
) -> None:
    """Refuse a file that is linked to, or that other users own or may write. Raises ConfigurationError.

    `opened` is what was read; `tree` the directories by any of which git's safe.directory may vouch for it.
    """
    for link in (path, path.parent):
        if link.name != OWN_FOLDER and link != path:
            continue
        if link.is_symlink():
            raise ConfigurationError(
                f"{path} defines environments, and {link} is a symbolic link: where it leads is not the project's",
                hint=f"Put the file itself there: cp --remove-destination {shlex.quote(os.path.realpath(path))} "
                f"{shlex.quote(str(path))}"
                if link == path
                else f"Put a directory there instead: rm {shlex.quote(str(link))}",
            )
    for place, found in (path, opened), *directories(path):
        problem = reason(found, environ)
        if problem is not None and not is_vouched_for(tree, environ):
            raise ConfigurationError(
                f"{path} defines environments, and {place} {problem[0]}",
                hint=f"{problem[1]} {shlex.quote(str(place))}, or vouch for it: "
                f"git config --global --add safe.directory {shlex.quote(str(tree[-1]))}",
            )


def directories(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The directories in which the file could be replaced by another."""
    yield path.parent, path.parent.stat()
    if path.parent.name == OWN_FOLDER:
        yield path.parent.parent, path.parent.parent.stat()


def reason(found: os.stat_result, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with a file or directory, and the command that mends it; None where nothing is."""
    if found.st_uid not in owners(environ):
        return f"belongs to {account(found.st_uid)}", f"Make it yours: chown {os.geteuid()}"
    sticky_directory = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not sticky_directory:
        return "can be written by every user of this machine", "Close it: chmod o-w"
    return None


def owners(environ: Mapping[str, str]) -> set[int]:
    """Whose files count: the user's and root's, and for root by way of sudo those of who called it."""
    user = os.geteuid()
    before = environ.get("SUDO_UID", "")
    return {ROOT, user, *([int(before)] if user == ROOT and before.isdecimal() else [])}


def account(uid: int) -> str:
    """A user's name, or number where there is no name."""
    import pwd  # noqa: PLC0415 - for messages only

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def is_vouched_for(tree: Sequence[Path], environ: Mapping[str, str]) -> bool:
    """Whether the user's or the system's git configuration, and no other, calls one of the directories safe."""
    safe = safe_directories(environ)
    return any(
        value == "*" or Path(value) == directory or (value.endswith("/*") and within(directory, value[:-2]))
        for value in safe
        for directory in tree
    )


def within(directory: Path, folder: str) -> bool:
    """Whether a directory is below a folder."""
    return directory != Path(folder) and directory.is_relative_to(folder)


def safe_directories(environ: Mapping[str, str]) -> list[str]:
    """The values of safe.directory that git itself would heed; an empty one takes back those before it."""
    import subprocess  # noqa: PLC0415 - where something is wrong only

    found: list[str] = []
    for scope in ("--system", "--global"):
        command = ["git", "config", scope, "--null", "--get-all", "safe.directory"]
        try:
            asked = subprocess.run(
                command, cwd="/", env=dict(environ), capture_output=True, timeout=GIT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        for value in asked.stdout.decode(errors="replace").split("\0")[:-1]:
            found = [*found, value] if value else []
    return found
