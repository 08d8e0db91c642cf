"""Defects of ocattach: exceptions that no code expects. Each thread has one place where they become an error.

An exception's text can hold a secret, such as the line that could not be parsed. What is shown and logged are the
types of exceptions and the lines of code.
"""

import os
import threading
import time
from pathlib import Path
from types import TracebackType

from ocattach.errors import DefectError, OcattachError

FILE = "defect.log"
"""The log of commands, in the state directory. Links have their own log."""

LARGEST = 256 * 1024
"""The size in bytes at which the log is begun anew."""

MOST_FRAMES = 40
"""How many calls of a traceback are kept, the last ones: a recursion has thousands."""

writing = threading.Lock()


def as_error(error: BaseException, log: Path) -> OcattachError:
    """Return an error of ours unchanged, and the DefectError for any other, after writing its traceback to a log."""
    if isinstance(error, OcattachError):
        return error
    write_trace(error, log)
    return defect(error, log)


def defect(error: BaseException, log: Path) -> DefectError:
    """Return the error for an exception whose traceback is in a log."""
    return DefectError(
        f"Internal error: {type(error).__name__} in {place(error.__traceback__)}",
        hint=f"This is a bug in ocattach. Please report it with {log}",
    )


def place(trace: TracebackType | None) -> str:
    """Return file and line of the last call in our code."""
    from traceback import walk_tb  # noqa: PLC0415 - slow to load, and only for what goes wrong

    calls = [(frame.f_code.co_filename, line) for frame, line in walk_tb(trace)]
    ours = [call for call in calls if "ocattach" in Path(call[0]).parts] or calls or [("unknown", 0)]
    file, line = ours[-1]
    return f"{Path(file).name}:{line}"


def trace_text(error: BaseException) -> str:
    """Return the traceback of an exception and of its causes, innermost first, without their texts."""
    import traceback  # noqa: PLC0415 - as above

    parts: list[str] = []
    known: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in known:
        known.add(id(cause))
        calls = traceback.StackSummary.extract(traceback.walk_tb(cause.__traceback__), limit=-MOST_FRAMES)
        parts.insert(0, f"Traceback:\n{''.join(calls.format())}{type(cause).__name__}\n")
        cause = cause.__cause__ or cause.__context__
    return "\n".join(parts)


def write_trace(error: BaseException, log: Path) -> None:
    """Append a traceback to a private log. A log that cannot be written is left out."""
    entry = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {threading.current_thread().name}\n{trace_text(error)}\n"
    with writing:
        try:
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            with open(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
                os.fchmod(descriptor, 0o600)
                if os.fstat(descriptor).st_size > LARGEST:
                    os.ftruncate(descriptor, 0)
                file.write(entry)
        except OSError:
            return


def log_thread_defects(log: Path) -> None:
    """Write exceptions that end a thread to a log, not to the terminal (`threading.excepthook`)."""

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None:
            write_trace(ended.exc_value, log)

    threading.excepthook = hook
