"""The index: what each environment had when it was last queried, in one SQLite file."""

from pathlib import Path


def index_file(state_directory: Path) -> Path:
    """Return the path of the index. Does not import SQLite."""
    return state_directory / "sessions.db"
