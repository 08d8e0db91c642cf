"""The log of a link: private, of limited size, and safe to print."""

import logging
import os
import threading
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ocattach.defects import defect, trace_text
from ocattach.errors import OcattachError
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

    A line break in a text of an environment does not begin an entry. The texts of exceptions are left out.
    """

    def formatException(self, ei: Any) -> str:  # noqa: N802 - of the base class
        """Return the traceback without texts, which may hold a secret."""
        return trace_text(ei[1])

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry as it is written."""
        record.exc_text = None  # kept there by a handler with another formatter
        return printable(super().format(record)[:LONGEST]).replace("\n", "\n    ")


def start_log(path: Path) -> None:
    """Log everything of this process to a file."""
    handler = PrivateFile(path)
    handler.setFormatter(LogFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def logged_error(error: BaseException) -> OcattachError:
    """Return an error of ours unchanged, and the DefectError for any other, after logging its traceback."""
    if isinstance(error, OcattachError):
        return error
    logging.getLogger(__name__).error("%s failed", threading.current_thread().name, exc_info=error)
    files = (handler for handler in logging.getLogger().handlers if isinstance(handler, PrivateFile))
    return defect(error, next((Path(file.baseFilename) for file in files), Path("link.log")))


def log_failure(failure: threading.ExceptHookArgs) -> None:
    """Log the error that ended a thread (`threading.excepthook`)."""
    exception = failure.exc_value or failure.exc_type()
    logging.getLogger(__name__).error("%s failed", failure.thread and failure.thread.name, exc_info=exception)
