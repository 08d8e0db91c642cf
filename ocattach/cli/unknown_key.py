"""Warnings about `opencode.json` files that an older OpenCode rejects because of the key `environments`."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ocattach.cli.terminal import say
from ocattach.config.project_files import OUR_FILES, unknown_keys
from ocattach.errors import OpencodeNotFoundError, UsageError
from ocattach.opencode.tui.launch import find_client, packaged_version
from ocattach.opencode.versions import UNKNOWN_KEYS_SINCE, refuses_unknown_keys


def warn_of_refused_files(paths: Iterable[Path], version: str | None = None) -> None:
    """Print which files the OpenCode on this machine rejects, and where to move their definitions.

    Without `version` it is read from the program's npm package; if it is unknown, nothing is printed.
    """
    version = version or version_here()
    if version is None or not refuses_unknown_keys(version):
        return
    for path in sorted(set(paths)):
        with suppress(UsageError):  # a file that cannot be read is reported elsewhere
            if keys := unknown_keys(path):
                say(
                    f"! OpenCode {version} on this machine does not start in {path.parent}: {path.name} has the "
                    f"key {' and '.join(keys)}, which this version rejects. Move it to {path.parent / OUR_FILES[0]}, "
                    f"or update OpenCode to {UNKNOWN_KEYS_SINCE} or later",
                    colour="yellow",
                )


def version_here() -> str | None:
    """The version of the TUI's program from its npm package; None if unknown. Runs nothing."""
    try:
        return packaged_version(Path(find_client(os.environ)).resolve())
    except OpencodeNotFoundError:
        return None
