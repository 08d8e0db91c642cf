"""The empty cgroup directories that a killed engine's containers leave behind: nothing else of them stays."""

import itertools
import os
from pathlib import Path

from tests.rigs.waiting import wait_until

ROOT = Path("/sys/fs/cgroup")
PREFIX = "ocattach-test"

_numbers = itertools.count(1)


def new_name() -> str:
    """A name for an engine's own cgroup, by which a later run can tell whose it was."""
    return f"{PREFIX}-{os.getpid()}-{next(_numbers)}"


def create(name: str) -> None:
    """Make a cgroup in each hierarchy, with every controller, for an engine that expects it there."""
    controllers = ROOT / "cgroup.controllers"
    if controllers.exists():  # version 2: a single hierarchy
        enabled = " ".join(f"+{controller}" for controller in controllers.read_text().split())
        (ROOT / "cgroup.subtree_control").write_text(enabled)
        (ROOT / name).mkdir()
        return
    for hierarchy in ROOT.iterdir():
        if not hierarchy.is_symlink():
            (hierarchy / name).mkdir()


def remove(name: str) -> None:
    """Remove an engine's cgroup, in each hierarchy that the machine has, once the kernel lets go of it."""
    for top in _tops(name):
        wait_until(lambda top=top: _remove_tree(top), f"{top} to be free")  # type: ignore[misc]


def remove_stale() -> None:
    """Remove what runs that were killed have left, if it is empty."""
    for top in _tops(f"{PREFIX}-*"):
        pid = top.name.split("-")[2]
        if not Path("/proc", pid).exists():
            _remove_tree(top)


def _tops(pattern: str) -> list[Path]:
    return [*ROOT.glob(pattern), *ROOT.glob(f"*/{pattern}")]


def _remove_tree(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # busy, still: the kernel frees it a moment after its last process
            return False
    return True
