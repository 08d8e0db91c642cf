"""Directories and files for the rigs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rigs.leash import end_processes_at

TOP = "/tmp"  # noqa: S108  macOS's own temporary directory alone takes 50 bytes


@contextmanager
def short_directory() -> Iterator[Path]:
    """A new 0700 directory, removed at the end, together with what runs for a user whose home it holds.

    The path of a unix socket has to stay under 107 bytes, and pytest's own directories are longer.
    """
    directory = Path(tempfile.mkdtemp(prefix="oct", dir=TOP)).resolve()
    try:
        yield directory
    finally:
        end_processes_at(directory)  # a daemon would go on writing
        shutil.rmtree(directory, ignore_errors=True)


def write_owned(path: Path, text: str, *, owner: int) -> None:
    """Write a file, and the folders that are missing on its way, as if the owner had."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o755)
        os.chown(folder, owner, owner)
    path.write_text(text)
    os.chown(path, owner, owner)
