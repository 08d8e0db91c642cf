"""Rejects project files that another user of this machine could have written, by the rules of git and ssh.

git uses no repository of another owner unless `safe.directory` names it, and ssh (StrictModes) no world-writable file.
This comes before the approval of content: the user is not even asked about such a definition. Group-writable files
are accepted, since many systems give each user a private group.
"""

import os
import pwd
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ocattach.errors import ConfigurationError
from ocattach.printable import command_line

ROOT = 0
GIT_SECONDS = 5
OWN_FOLDER = ".opencode"


def check_ownership(
    path: Path, opened: os.stat_result, tree: Sequence[Path], environ: Mapping[str, str] = os.environ
) -> None:
    """Raise ConfigurationError for a symbolic link, and for a file that other users own or can write.

    `opened` is the status of the file that was read; `tree` has the directories that git's safe.directory may list.
    """
    for link in (path, path.parent):
        if link.name != OWN_FOLDER and link != path:
            continue
        if link.is_symlink():
            raise ConfigurationError(
                f"{path} defines environments, but {link} is a symbolic link",
                hint="Replace the link by the file: "
                + command_line("cp", "--remove-destination", os.path.realpath(path), path)
                if link == path
                else f"Replace the link by a directory: {command_line('rm', link)}",
            )
    for place, found in (path, opened), *directories(path):
        problem = reason(place, found, environ)
        if problem is not None and not is_safe_for_git(tree, environ):
            raise ConfigurationError(
                f"{path} defines environments, but {place} {problem[0]}",
                hint=f"{problem[1]}, or trust the directory: "
                + command_line("git", "config", "--global", "--add", "safe.directory", tree[-1]),
            )


def directories(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The directories whose owner could replace the file."""
    yield path.parent, path.parent.stat()
    if path.parent.name == OWN_FOLDER:
        yield path.parent.parent, path.parent.parent.stat()


def reason(place: Path, found: os.stat_result, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The problem with a file or directory and the hint that fixes it; None if there is none."""
    if found.st_uid not in owners(environ):
        return (
            f"belongs to {account(found.st_uid)}",
            f"Change the owner: {command_line('chown', os.geteuid(), place)}",
        )
    sticky_directory = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not sticky_directory:
        return "is world-writable", f"Change its mode: {command_line('chmod', 'o-w', place)}"
    return None


def owners(environ: Mapping[str, str]) -> set[int]:
    """The accepted owners: the user and root, and under sudo the user who called it."""
    user = os.geteuid()
    before = environ.get("SUDO_UID", "")
    return {ROOT, user, *([int(before)] if user == ROOT and before.isdecimal() else [])}


def account(uid: int) -> str:
    """The name of a user with the uid, or only the uid."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def is_safe_for_git(tree: Sequence[Path], environ: Mapping[str, str]) -> bool:
    """Whether the git configuration of the user or the system lists one of the directories as safe."""
    safe = safe_directories(environ)
    return any(
        value == "*" or Path(value) == directory or (value.endswith("/*") and within(directory, value[:-2]))
        for value in safe
        for directory in tree
    )


def within(directory: Path, folder: str) -> bool:
    """Whether a directory is below another."""
    return directory != Path(folder) and directory.is_relative_to(folder)


def safe_directories(environ: Mapping[str, str]) -> list[str]:
    """The values of safe.directory that git uses. An empty value discards earlier ones (git-config(1))."""
    import subprocess  # noqa: PLC0415 - warm; 5 ms

    found: list[str] = []
    for scope in ("--system", "--global"):
        command = ["git", "config", scope, "--null", "--get-all", "safe.directory"]
        try:
            result = subprocess.run(
                command, cwd="/", env=dict(environ), capture_output=True, timeout=GIT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        for value in result.stdout.decode(errors="replace").split("\0")[:-1]:
            found = [*found, value] if value else []
    return found
