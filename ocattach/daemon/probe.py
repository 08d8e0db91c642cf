"""One look at an environment: its OpenCode, its working directory, the daemons that run there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ocattach.daemon.places import UnusableBinary, parse_place
from ocattach.daemon.script import Report, RunCommand, parse_report, script_argv, script_input
from ocattach.errors import ConnectionLostError

NUMBER = re.compile(r"[0-9]{1,9}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LAST_PORT = 65535
WILDCARDS = {"00000000", "0" * 32}
IPV6_LOOPBACK = "00000000000000000000000001000000"


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What a connection says about the environment that is to be looked at."""

    workdir: str | None = None
    opencode: str | None = None
    """Path of the program there; None: where it is usually found."""

    port: int | None = None
    """The port the daemon must have; None for any."""

    env: tuple[tuple[str, str], ...] = ()
    unset_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundDaemon:
    """An `opencode serve` of this account that listens in the environment."""

    pid: int
    """0 where only the daemon's URL is known."""

    port: int
    host: str
    """Address to dial inside the environment: 127.0.0.1, ::1, or the one address it listens on."""

    username: str
    password: str
    recorded: bool
    """Started by an ocattach, which recorded it; False: found by its process."""

    def __repr__(self) -> str:
        return f"FoundDaemon(pid={self.pid}, port={self.port}, host={self.host!r}, recorded={self.recorded})"


@dataclass(frozen=True, slots=True)
class Probe:
    """What an environment answered."""

    system: str
    """Kernel name and machine, as `uname -sm` prints them."""

    home: str
    unwritable: str | None
    """A directory that would have to be writable for OpenCode to keep its data, and is not."""

    user_id: str
    workdir: str | None
    """The request's working directory, absolute; None when it does not exist or none was asked for."""

    opencode: str | None
    """Path of the program; None when none of the places in `tried` has one that can be used."""

    tried: tuple[UnusableBinary, ...]
    path: str | None
    """The login shell's PATH, when that had to be asked: what a daemon there is to be started with."""

    daemons: tuple[FoundDaemon, ...]

    @property
    def login_environment(self) -> tuple[tuple[str, str], ...]:
        """What a daemon has to be given besides the connection's own variables."""
        return (("PATH", self.path),) if self.path else ()

    def daemon(self, port: int | None) -> FoundDaemon | None:
        """The daemon to use: the recorded one first, else one that listens on loopback; on `port` if that is given."""
        fitting = [daemon for daemon in self.daemons if port in (None, daemon.port)]
        return min(fitting, key=lambda daemon: (not daemon.recorded, daemon.pid), default=None)


def probe(run: RunCommand, request: ProbeRequest, *, timeout: float) -> Probe:
    """Look at an environment, in one round trip of at most `timeout` seconds."""
    result = run(
        script_argv("probe.sh", request.workdir or "", request.opencode or "", str(request.port or "")),
        stdin=script_input(env=request.env, unset=request.unset_env),
        timeout=timeout,
    )
    report = parse_report(result, script="probe")
    if "end" not in report:
        raise ConnectionLostError("The environment stopped answering in the middle of our probe")
    return Probe(
        system=report.first("system") or "unknown",
        home=report.first("home") or "/",
        unwritable=report.first("unwritable"),
        user_id=report.first("user") or "",
        workdir=plain(report.first("workdir")),
        opencode=report.first("opencode"),
        tried=tuple(place for line in report.all("tried") if (place := parse_place(line))),
        path=report.first("path"),
        daemons=daemons(report),
    )


def daemons(report: Report) -> tuple[FoundDaemon, ...]:
    """The daemons in a script's answer; lines that are none are left out."""
    found = (parse_daemon(line.split(" ")) for line in report.all("daemon"))
    return tuple(daemon for daemon in found if daemon is not None)


def parse_daemon(fields: Sequence[str]) -> FoundDaemon | None:
    """A daemon from its line: origin, pid, port, address as /proc/net/tcp writes it, username, password."""
    match fields:
        case [origin, pid, port, address, username, password] if NUMBER.fullmatch(pid) and is_port(port):
            return FoundDaemon(
                pid=int(pid),
                port=int(port),
                host=dial_address(address),
                username="opencode" if username == "-" else username,
                password="" if password == "-" else password,  # noqa: S105
                recorded=origin != "found",
            )
        case _:
            return None


def plain(path: str | None) -> str | None:
    """The path, unless it has control characters: it is shown by programs that would obey them."""
    return None if path is None or CONTROL.search(path) else path


def is_port(text: str) -> bool:
    """Whether a word is the number of a port."""
    return NUMBER.fullmatch(text) is not None and 0 < int(text) <= LAST_PORT


def dial_address(hexadecimal: str) -> str:
    """Where to reach a socket, by its address as /proc/net/tcp writes it: in the host's byte order."""
    if hexadecimal == IPV6_LOOPBACK:
        return "::1"
    if hexadecimal in WILDCARDS or len(hexadecimal) != len("0100007F"):
        return "127.0.0.1"
    try:
        return ".".join(str(part) for part in bytes.fromhex(hexadecimal)[::-1])
    except ValueError:
        return "127.0.0.1"
