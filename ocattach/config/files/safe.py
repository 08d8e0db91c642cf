"""Reading files with suspicion, writing them so that no half of one is ever seen."""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ocattach.errors import ConfigurationError, OcattachError, TimedOutError

LARGEST = 1024 * 1024
LOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that cannot be used, while the rest can."""

    path: Path
    name: str | None
    """The connection it is about; None for the whole file."""

    error: ConfigurationError


def read_text(path: Path) -> str | None:
    """The text of a regular file of sane size, None when there is no file.

    Never waits, as a named pipe would have it; raises ConfigurationError for what is no such file.
    """
    found = read_with_status(path)
    return None if found is None else found[0]


def read_with_status(path: Path) -> tuple[str, os.stat_result] | None:
    """The same, with whose file it is that was read, whatever has taken its name since."""
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


def read_regular(path: Path) -> tuple[bytes, os.stat_result]:
    """The content of a regular file, a little more than the largest at most, and its status."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{path} is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST + 1), status
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Put a private file in place at once and for good: who reads sees the old one or the new one."""
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
    """Write a new file that only its owner can read, down to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def flush_directory(path: Path) -> None:
    """Make names that were put into a directory, or taken from it, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_directory(path: Path) -> None:
    """Make a directory, and those above it, for its owner alone; one that is there stays as it is."""
    for missing in reversed([directory for directory in (path, *path.parents) if not directory.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def not_written(path: Path, error: OSError) -> OcattachError:
    """The error for a file that could not be written or removed."""
    folder = shlex.quote(str(path.parent))
    return OcattachError(
        f"{path} could not be written: {error.strerror}",
        hint=f"See whose the folder is, and what room there is: ls -ld {folder}; df -h {folder}",
    )


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes of ours from changing the files of a directory meanwhile."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - slow to import; only for who writes

    path = directory / ".lock"
    lock = FileLock(path, timeout=LOCK_SECONDS, mode=0o600)
    try:
        private_directory(directory)
        lock.acquire()
    except Timeout as error:
        raise TimedOutError(
            f"Another ocattach has been changing {directory} for {LOCK_SECONDS} s",
            hint="Try again once it has ended",
        ) from error
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # what was to be done is done, and the lock ends with this process
            lock.release()
