"""Lists the TCP ports on which programs listen in an environment."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ocattach.daemon.probe import NUMBER, is_port, numeric_address
from ocattach.daemon.script import Report, RunCommand, run_script
from ocattach.errors import OcattachError

REACHABLE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::", "*"})  # noqa: S104 - compared, not bound
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NETWORK = Path("/proc/self/ns/net")


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """A socket on which a program listens. The texts are the environment's own: escape them before they are shown."""

    port: int
    address: str
    """Numeric; `*` if it is unknown or means all."""

    uid: int | None
    pid: int | None
    """None for processes of other accounts, which only root can see."""

    program: str | None
    """The start of its command line."""

    directory: str | None
    is_opencode: bool

    @property
    def is_on_loopback(self) -> bool:
        """Whether a connection to 127.0.0.1 or ::1 reaches it."""
        return self.address in REACHABLE

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; `opencode` is whether it is a server of OpenCode."""
        values = asdict(self)
        return {**values, "opencode": values.pop("is_opencode")}


@dataclass(frozen=True, slots=True)
class ListeningPorts:
    """All of them, by port."""

    ports: Sequence[ListeningPort]
    is_own_network: bool
    """Whether it is this machine's network, where a port cannot be forwarded to the same port."""


def list_ports(run: RunCommand, *, timeout: float) -> ListeningPorts:
    """Return the listening sockets of an environment, by one command there.

    Raises OcattachError if they cannot be seen: without /proc, and lsof or netstat.
    """
    report = run_script(run, "ports", timeout=timeout)
    found = {parse(line.split(" "), report) for line in report.all("socket")} - {None}
    ports = sorted((each for each in found if each is not None), key=lambda each: (each.port, each.address))
    if not ports and not report.first("proc"):
        raise OcattachError(
            "Cannot see which ports are open there: it has no /proc, and no lsof or netstat",
            hint="Forward the port that you know: ocattach forward NAME PORT",
        )
    return ListeningPorts(ports, report.first("network") == own_network())


def parse(fields: Sequence[str], report: Report) -> ListeningPort | None:
    """Parse a line: port, address, uid, pid. Malformed lines are ignored."""
    match fields:
        case [port, address, uid, pid] if is_port(port):
            return ListeningPort(
                port=int(port),
                address=numeric_address(address) or "*",
                uid=int(uid) if NUMBER.fullmatch(uid) else None,
                pid=int(pid) if NUMBER.fullmatch(pid) else None,
                program=of_process(pid, report.all("program")),
                directory=of_process(pid, report.all("directory")),
                is_opencode=pid in report.all("opencode"),
            )
        case _:
            return None


def of_process(pid: str, lines: Sequence[str]) -> str | None:
    """Return what follows the pid in its line."""
    return next(
        (
            text.strip() or None
            for number, _, text in (line.partition(" ") for line in lines)
            if number == pid
        ),
        None,
    )


def own_network() -> str | None:
    """Return the network of this process as the script reports one; None where the kernel does not show it."""
    try:
        return f"{BOOT_ID.read_text().strip()} {NETWORK.readlink()}"
    except OSError:
        return None
