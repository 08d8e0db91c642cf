"""What is still there after `ocattach --disconnect`, here and in the environment; the daemon is meant to stay."""

import os
import time
from pathlib import Path

import psutil

from tests.faults.site import Site, command_line

DAEMONS_OWN = {"daemon", "daemon.log"}
"""The record and the log of a daemon, which stay with it. A pod that replaces another has a folder of its own."""

LONGEST = 60
MEANT_TO_STAY = (".lock", ".log", ".log.1", ".so")
"""Endings of files here: who removed a lock's file could have two links hold it. Bun unpacks libraries for itself."""


class Marks:
    """What was there when the link had just come up: all of it may be there afterwards."""

    def __init__(self, site: Site) -> None:
        self.files = files_there(site)


def leftovers(site: Site, before: Marks, *, seconds: float) -> list[str]:
    """All that should not be there, once it had so much time to go."""
    deadline = time.monotonic() + seconds
    while True:
        found = [*here(site), *there(site, before)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def here(site: Site) -> list[str]:
    """Processes and files of the laptop's."""
    found = [
        f"here: process {process.pid} {' '.join(command_line(process))}" for process in site.laptop.links()
    ]
    folders = (site.laptop.runtime, Path(site.laptop.variables.get("TMPDIR", "/nonexistent")))
    for folder in folders:
        found += [f"here: {path}" for path in tree(folder) if not str(path).endswith(MEANT_TO_STAY)]
    return found


def there(site: Site, before: Marks) -> list[str]:
    """Processes and files of the environment's."""
    found = [f"there: process {shown(process)}" for process in site.relays()]
    found += [f"there: sshd session {process.pid}" for process in site.sessions()]
    found += [f"there: exec session {name[:12]}" for name in site.exec_sessions()]
    return found + [f"there: {path}" for path in sorted(files_there(site) - before.files)]


def shown(process: psutil.Process) -> str:
    """A process, in few words."""
    return f"{process.pid} {' '.join(command_line(process))[:LONGEST]!r}"


def files_there(site: Site) -> set[str]:
    """Our files in the environment's home."""
    state = site.home / ".local/state/ocattach"
    return {str(path.relative_to(state)) for path in tree(state) if path.name not in DAEMONS_OWN}


def tree(folder: Path) -> list[Path]:
    """All files below a folder, which may not be there."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]
