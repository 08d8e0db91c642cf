"""A daemon's own word for the socket on which it listens."""

from dataclasses import dataclass

from ocattach.daemon.script import RunCommand, parse_report, script_argv, script_input


@dataclass(frozen=True, slots=True)
class Listener:
    """The listening sockets of one process on one port."""

    kernel: str
    """The boot id of the kernel that it runs on; empty where that cannot be read."""

    inodes: frozenset[int]
    """No two sockets of a kernel have one in common while they live."""


def find_listener(run: RunCommand, *, pid: int, port: int, timeout: float) -> Listener:
    """Ask the environment for the sockets that are open in that process and listen on that port."""
    result = run(script_argv("listener.sh", str(pid), str(port)), stdin=script_input(), timeout=timeout)
    report = parse_report(result, script="listener")
    return Listener(
        kernel=report.first("kernel") or "",
        inodes=frozenset(int(inode) for inode in report.all("inode") if inode.isdigit()),
    )
