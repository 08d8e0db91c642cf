"""Finds the sockets on which a daemon listens."""

from dataclasses import dataclass

from ocattach.daemon.script import RunCommand, run_script


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """The listening sockets of one process on one port."""

    kernel: str
    """The boot id of the kernel it runs on; empty if that cannot be read."""

    inodes: frozenset[int]
    """The inodes of the sockets, each unique in the kernel while its socket exists."""


def find_listener(run: RunCommand, *, pid: int, port: int, timeout: float) -> ListeningSockets:
    """Return the sockets of a process in the environment that listen on a port."""
    report = run_script(run, "listener", str(pid), str(port), timeout=timeout)
    return ListeningSockets(
        kernel=report.first("kernel") or "",
        inodes=frozenset(int(inode) for inode in report.all("inode") if inode.isdigit()),
    )
