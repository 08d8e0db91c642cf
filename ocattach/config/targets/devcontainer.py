"""Folders of dev containers, as entries and URIs name them."""

from os.path import normpath
from pathlib import Path

DEVCONTAINER = "devcontainer"
"""The key of entries, and the first part of the name in URIs: docker://devcontainer/FOLDER."""


def absolute(folder: str, directory: Path) -> str:
    """A folder that was named in a directory, absolute and without `.` and `..`; symbolic links are kept."""
    path = Path(folder)
    return normpath(directory / (path.expanduser() if path.parts[:1] == ("~",) else path))


def read_folder(text: str) -> str:
    """The folder in docker://devcontainer/FOLDER: absolute, unless it begins with `.`, `..` or `~` as a part."""
    return text if is_explicit(text) else f"/{text}"


def format_folder(folder: str) -> str:
    """The inverse of `read_folder`, without the first slash where it can be left out."""
    if not folder.startswith("/"):
        return folder if is_explicit(folder) else f"./{folder}"
    short = folder[1:]
    return folder if not short or is_explicit(short) else short


def is_explicit(folder: str) -> bool:
    """Whether a text says itself where the folder begins."""
    return folder != "" and folder.partition("/")[0] in ("", ".", "..", "~")
