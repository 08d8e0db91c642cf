"""Finds programs of this machine."""

import os
from pathlib import Path


def which(name: str, path: str | None = None) -> str | None:
    """The file that is run for a program's name, by a PATH or by that of this process; None if there is none.

    As with `shutil.which`, whose module loads compression at each start, but an empty entry means nothing.
    """
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    candidates = (f"{folder}/{name}" for folder in folders if folder)
    return next((each for each in candidates if os.access(each, os.X_OK) and Path(each).is_file()), None)
