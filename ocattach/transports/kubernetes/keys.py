"""The directory for keys that the official client needs as files."""

import os
import shutil
import tempfile
from pathlib import Path

KEYS = "keys-"


def key_directory(runtime: Path) -> "tempfile.TemporaryDirectory[str]":
    """Create a directory for keys that the SDK needs as files, and remove those of killed processes.

    The SDK reads the files for every new connection (kubernetes/client/rest.py, 37).
    """
    for left in runtime.glob(f"{KEYS}*"):
        if not is_alive(int(left.name.removeprefix(KEYS).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(
        prefix=f"{KEYS}{os.getpid()}-", dir=runtime, ignore_cleanup_errors=True
    )


def is_alive(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)  # else it is another user's
    return True
