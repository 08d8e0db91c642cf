"""The log of a link: private, of limited size, and safe to print."""

import logging
import os
from io import TextIOWrapper
from pathlib import Path

from ocattach.printable import printable

LARGEST = 512 * 1024
"""The largest size in bytes. Then the file replaces the former one."""

LONGEST = 8000
"""Characters of an entry, including a traceback."""


class PrivateFile(logging.FileHandler):
    """A log file that only its owner can read, and its predecessor."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=open_private)

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry, and rotate the file if it is large. RotatingFileHandler is slow to import."""
        super().emit(record)
        if self.stream and self.stream.tell() > LARGEST:
            self.stream.close()
            path = Path(self.baseFilename)
            path.replace(former(path))
            self.stream = self._open()


def former(path: Path) -> Path:
    """Return the path of the predecessor."""
    return path.with_name(f"{path.name}.1")


def open_private(path: str, flags: int) -> int:
    """Open a file with mode 0600, also if it exists with another."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


class LogFormatter(logging.Formatter):
    """Limits the length of entries, escapes control characters, and indents all lines of an entry but the first.

    A line break in a text of an environment does not begin an entry.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry as it is written."""
        return printable(super().format(record)[:LONGEST]).replace("\n", "\n    ")


def start_log(path: Path) -> None:
    """Log everything of this process to a file."""
    handler = PrivateFile(path)
    handler.setFormatter(LogFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
