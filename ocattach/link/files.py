"""The files of a link: its socket, its lock, its log."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ocattach.config.files.paths import runtime_directory, state_directory


class LinkFiles(NamedTuple):
    """The files of one link."""

    socket: Path
    lock: Path
    log: Path


def link_files(key: str, environ: Mapping[str, str]) -> LinkFiles:
    """Return the files of the link with this key."""
    runtime = runtime_directory(environ)
    return LinkFiles(socket=runtime / f"{key}.sock", lock=runtime / f"{key}.lock", log=log_file(key, environ))


def log_file(key: str, environ: Mapping[str, str]) -> Path:
    """Return the path of a link's log. Creates nothing."""
    return state_directory(environ) / "links" / f"{key}.log"


def credential_file(key: str, environ: Mapping[str, str]) -> Path:
    """Where the credential of a key's local port is kept."""
    return state_directory(environ) / "links" / f"{key}.credential"


def browser_file(key: str, environ: Mapping[str, str]) -> Path:
    """Where the secret is kept that signs the cookies of a key's local port."""
    return state_directory(environ) / "links" / f"{key}.browsers"


def link_keys(environ: Mapping[str, str]) -> Iterator[str]:
    """Return the keys of all links that have a socket, running or not."""
    for file in sorted(runtime_directory(environ).glob("*.sock")):
        yield file.stem
