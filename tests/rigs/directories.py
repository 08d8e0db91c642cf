"""Directories and files for the rigs."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rigs.leash import end_processes_at

_libc = ctypes.CDLL(None)
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
        with _folder_for_its_owner(folder.parent) as descriptor:
            os.mkdir(folder.name, mode=0o755, dir_fd=descriptor)
        os.chown(folder, owner, owner)
    if not path.exists():
        with _folder_for_its_owner(path.parent) as descriptor:
            os.close(os.open(path.name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor))
    path.write_text(text)
    os.chown(path, owner, owner)


@contextmanager
def _folder_for_its_owner(folder: Path) -> Iterator[int]:
    """A folder in which this thread now makes files as its owner: in a user's own namespace root may make none."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    status = folder.stat()
    try:
        _libc.setfsgid(status.st_gid)
        _libc.setfsuid(status.st_uid)
        yield descriptor
    finally:
        _libc.setfsuid(os.geteuid())
        _libc.setfsgid(os.getegid())
        os.close(descriptor)
