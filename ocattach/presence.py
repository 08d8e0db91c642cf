"""Whether something is at a path of this machine.

What lies in a directory that this account may not enter, or has a name that no system takes, is not there: nothing can
be done with it either. `Path.exists`, `is_file` and `is_dir` raise OSError for these before Python 3.14.
"""

import os
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether a file, directory or socket is there."""
    return os.path.exists(path)  # noqa: PTH110 - see above


def is_file(path: Path) -> bool:
    """Whether a regular file is there."""
    return os.path.isfile(path)  # noqa: PTH113 - see above
