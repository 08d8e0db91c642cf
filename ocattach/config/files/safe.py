"""Safe reading and atomic writing of files."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ocattach.errors import ConfigurationError, OcattachError, TimedOutError, UsageError
from ocattach.printable import command_line

LARGEST = 1024 * 1024
LOCK_SECONDS = 10


class Problem(NamedTuple):
    """A file, or a connection in it, that is invalid, while others can be used."""

    path: Path
    name: str | None
    """The connection; None for the whole file."""

    error: ConfigurationError

    is_note: bool = False
    """Whether it only explains what was ignored: no connection that is used depends on it."""


def read_text(path: Path) -> str | None:
    """The text of a regular file; None if it does not exist. Never blocks, not even on a named pipe.

    Raises ConfigurationError for other kinds of files, for one that is too large, and for text that is not UTF-8.
    """
    found = read_with_status(path)
    return None if found is None else found[0]


def read_with_status(path: Path) -> tuple[str, os.stat_result] | None:
    """Like `read_text`, with the status of the file that was read."""
    try:
        content, status = read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise ConfigurationError(f"{path} is larger than {LARGEST // 1024} KiB")
    try:
        return content.decode("utf-8-sig"), status
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


def read_regular(path: Path, limit: int = LARGEST) -> tuple[bytes, os.stat_result]:
    """The content of a regular file, up to one byte more than allowed, and its status."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{path} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit + 1), status
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise ConfigurationError with the path of a file for a UsageError about what is in it."""
    try:
        yield
    except ConfigurationError:
        raise
    except UsageError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from error


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically and durably, with mode 0600. Creates missing directories."""
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        private_directory(path.parent)
        try:
            write_durably(temporary, text.encode())
            temporary.replace(path)
        except OSError:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        flush_directory(path.parent)
    except OSError as error:
        raise not_written(path, error) from error


def write_durably(path: Path, content: bytes) -> None:
    """Create a file with mode 0600 and flush it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def flush_directory(path: Path) -> None:
    """Flush created and removed names of a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_directory(path: Path) -> None:
    """Create a directory and missing parents with mode 0700; existing ones are not changed."""
    for missing in reversed([directory for directory in (path, *path.parents) if not directory.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def not_written(path: Path, error: OSError) -> OcattachError:
    """The error for a file that could not be written or removed."""
    return OcattachError(
        f"{path} could not be written: {error.strerror}",
        hint="Check owner, mode and free space: "
        f"{command_line('ls', '-ld', path.parent)}; {command_line('df', '-h', path.parent)}",
    )


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock a directory against changes by other ocattach processes. Raises TimedOutError after 10 s."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - warm; for writing only

    path = directory / ".lock"
    lock = FileLock(path, timeout=LOCK_SECONDS, mode=0o600)
    try:
        private_directory(directory)
        lock.acquire()
    except Timeout as error:
        raise TimedOutError(
            f"{directory} has been locked by another ocattach for {LOCK_SECONDS} s",
            hint="Try again when it has ended",
        ) from error
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # the lock ends with this process
            lock.release()
