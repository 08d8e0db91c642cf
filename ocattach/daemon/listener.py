"""Reads what the process of a daemon shows: the sockets on which it listens, and its proxy variables."""

from collections.abc import Mapping
from typing import NamedTuple

from ocattach.daemon.script import RunCommand, run_script


class ListeningSockets(NamedTuple):
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


def read_proxies(run: RunCommand, *, pid: int, timeout: float) -> Mapping[str, str]:
    """Return the proxy variables of a daemon, which may contain secrets; empty if they cannot be read."""
    report = run_script(run, "proxies", str(pid), timeout=timeout)
    pairs = (line.partition("=") for line in report.all("variable"))
    return {name: value for name, _, value in pairs}
