"""The link's log: private, of bounded size, and safe to be shown on a terminal."""

import logging
import os
from io import TextIOWrapper
from pathlib import Path

from ocattach.printable import printable

LARGEST = 512 * 1024
"""Bytes; what is older is in a second file of that size, and what is older still is gone."""

LONGEST = 8000
"""Characters of an entry, a traceback included."""


class PrivateFile(logging.FileHandler):
    """A log file that only its owner can read, and one former one."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=open_private)

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry, and put the file aside once it is large. The standard library's own takes long to import."""
        super().emit(record)
        if self.stream and self.stream.tell() > LARGEST:
            self.stream.close()
            path = Path(self.baseFilename)
            path.replace(former(path))
            self.stream = self._open()


def former(path: Path) -> Path:
    """Where the entries are that a log has become too large for."""
    return path.with_name(f"{path.name}.1")


def open_private(path: str, flags: int) -> int:
    """Open a file for its owner alone, whoever could read it before."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


class LogFormatter(logging.Formatter):
    """An entry of sane length, whose control characters are written out."""

    def format(self, record: logging.LogRecord) -> str:
        """The entry as it stands in the file."""
        return printable(super().format(record)[:LONGEST])


def start_log(path: Path) -> None:
    """Have everything that this process logs written there."""
    handler = PrivateFile(path)
    handler.setFormatter(LogFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
