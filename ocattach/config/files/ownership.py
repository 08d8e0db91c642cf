"""Rejects project files that another user of this machine could have written, unless git's safe.directory names them.

This comes before the approval of content: the user is not even asked about such a definition.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ocattach.config.files.owner import owners, reason
from ocattach.errors import ConfigurationError
from ocattach.printable import command_line

GIT_SECONDS = 5
OWN_FOLDER = ".opencode"


def check_ownership(path: Path, opened: os.stat_result, tree: Sequence[Path]) -> None:
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
        problem = reason(place, found)
        if problem is not None and not is_safe_for_git(tree):
            raise ConfigurationError(
                f"{path} defines environments, but {place} {problem[0]}",
                hint=f"{problem[1]}, or trust the directory: "
                + command_line("git", "config", "--global", "--add", "safe.directory", tree[-1]),
            )


def is_foreign_tree(directory: Path) -> bool:
    """Whether git would refuse a directory with a `.git`, because another user owns one of the two."""
    accepted = owners()
    found = (directory.stat(), (directory / ".git").lstat())
    return any(each.st_uid not in accepted for each in found) and not is_safe_for_git([directory])


def directories(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The directories whose owner could replace the file."""
    yield path.parent, path.parent.stat()
    if path.parent.name == OWN_FOLDER:
        yield path.parent.parent, path.parent.parent.stat()


def is_safe_for_git(tree: Sequence[Path]) -> bool:
    """Whether the git configuration of the user or the system lists one of the directories as safe."""
    return any(
        value == "*" or Path(value) == directory or (value.endswith("/*") and within(directory, value[:-2]))
        for value in safe_directories()
        for directory in tree
    )


def within(directory: Path, folder: str) -> bool:
    """Whether a directory is below another."""
    return directory != Path(folder) and directory.is_relative_to(folder)


def safe_directories() -> list[str]:
    """The values of safe.directory that git uses. An empty value discards earlier ones (git-config(1))."""
    import subprocess  # noqa: PLC0415 - warm; 5 ms

    found: list[str] = []
    for scope in ("--system", "--global"):
        command = ["git", "config", scope, "--null", "--get-all", "safe.directory"]
        try:
            result = subprocess.run(command, cwd="/", capture_output=True, timeout=GIT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        for value in result.stdout.decode(errors="replace").split("\0")[:-1]:
            found = [*found, value] if value else []
    return found
