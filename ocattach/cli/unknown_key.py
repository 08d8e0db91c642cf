"""Files with a key of ours that an older OpenCode on this machine would not start with."""

import os
from collections.abc import Iterable
from pathlib import Path

from ocattach.cli.terminal import say
from ocattach.config.project import OUR_FILES, has_unknown_key
from ocattach.errors import OpencodeNotFoundError, UsageError
from ocattach.opencode.tui.launch import find_client, packaged_version
from ocattach.opencode.versions import UNKNOWN_KEYS_SINCE, refuses_unknown_keys


def warn_of_refused_files(paths: Iterable[Path], version: str | None = None) -> None:
    """Say which files the OpenCode here refuses, and where their definitions can be instead.

    Without a version the program's package tells it, which costs nothing; where none tells, nothing is said.
    """
    version = version or version_here()
    if version is None or not refuses_unknown_keys(version):
        return
    for path in sorted(set(paths)):
        if refused(path):
            say(
                f"! OpenCode {version} on this machine does not start in {path.parent}: {path.name} there has "
                f"environments, a key that it does not know. Move it to {path.parent / OUR_FILES[0]}, "
                f"or update OpenCode to {UNKNOWN_KEYS_SINCE} or later",
                colour="yellow",
            )


def version_here() -> str | None:
    """The version of the program that shows the TUI, as far as it is known without asking it."""
    try:
        return packaged_version(Path(find_client(os.environ)).resolve())
    except OpencodeNotFoundError:
        return None


def refused(path: Path) -> bool:
    """Whether a file has the key where an old OpenCode minds it; one that cannot be read is told elsewhere."""
    try:
        return has_unknown_key(path)
    except UsageError:
        return False
