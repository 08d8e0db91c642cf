"""Finds the OpenCode, the working directory and the daemons of an environment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from ocattach.daemon.script import DaemonSettings, Report, RunCommand, run_script
from ocattach.daemon.unusable import UnusableBinary

LAST_PORT = 65535
NUMBER = re.compile(r"[0-9]{1,9}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class FoundDaemon:
    """An `opencode serve` of this account that listens in the environment."""

    pid: int
    """0 if only the daemon's URL is known."""

    port: int
    host: str
    """Address to connect to inside the environment: 127.0.0.1, ::1, or the only address it listens on."""

    username: str
    password: str = field(repr=False)
    recorded: bool
    """True if ocattach started and recorded it; False if it was found among the processes."""


class Probe(NamedTuple):
    """The result of a probe."""

    system: str
    """Kernel name and machine, as `uname -sm` prints them."""

    home: str
    unwritable: str | None
    """A directory that OpenCode needs to write to and cannot; None if there is none."""

    private: str | None
    """The directory used instead of what this account cannot write to; None if it can write to its home."""

    workdir: str | None
    """The working directory of the settings, absolute; None if it does not exist, or was not given."""

    opencode: str | None
    """Path of the program; None if none of the paths in `tried` can be used."""

    tried: tuple[UnusableBinary, ...]
    path: str | None
    """The login shell's PATH, if the program was found with it: a daemon is started with this PATH."""

    daemons: tuple[FoundDaemon, ...]

    def daemon(self, port: int | None) -> FoundDaemon | None:
        """Return the daemon to use, a recorded one if possible; one on `port` if that is given."""
        fitting = [daemon for daemon in self.daemons if port in (None, daemon.port)]
        return min(fitting, key=lambda daemon: (not daemon.recorded, daemon.pid), default=None)


def probe(
    run: RunCommand,
    settings: DaemonSettings,
    *,
    timeout: float,
    mark: str | None = None,
    relay: Sequence[str] = (),
) -> Probe:
    """Probe an environment, in one round trip of at most `timeout` seconds. Raises ConnectionLostError.

    With `relay`, the command of one in another program, the script becomes it after its report, which then has the
    key "relay": by the program of the daemon, if that is recorded.
    """
    report = run_script(
        run,
        "probe",
        settings.workdir or "",
        settings.opencode or "",
        str(settings.port or ""),
        "login" if settings.login_path else "",
        *relay,
        settings=settings,
        timeout=timeout,
        mark=mark,
        then="become_relay.sh" if relay else "",
    )
    return Probe(
        system=report.first("system") or "unknown",
        home=report.first("home") or "/",
        unwritable=report.first("unwritable"),
        private=report.first("private"),
        workdir=plain(report.first("workdir")),
        opencode=report.first("opencode"),
        tried=tuple(
            UnusableBinary(*line.split(":", 2)) for line in report.all("tried") if line.count(":") > 1
        ),
        path=report.first("path"),
        daemons=daemons(report),
    )


def daemons(report: Report) -> tuple[FoundDaemon, ...]:
    """Return the daemons in a script's answer. Malformed lines are ignored."""
    found = (parse_daemon(line.split(" ")) for line in report.all("daemon"))
    return tuple(daemon for daemon in found if daemon is not None)


def parse_daemon(fields: Sequence[str]) -> FoundDaemon | None:
    """Parse a line: origin, pid, port, address as in /proc/net/tcp, username, password."""
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
    """Return the path; None if it has control characters, which other programs would pass to the terminal."""
    return None if path is None or CONTROL.search(path) else path


def is_port(text: str) -> bool:
    """Whether a text is a valid port number."""
    return NUMBER.fullmatch(text) is not None and 0 < int(text) <= LAST_PORT


def dial_address(text: str) -> str:
    """Return the address to connect to, from one as in /proc/net/tcp or as lsof prints it ("*", "[::1]")."""
    address = numeric_address(text)
    return LOOPBACK if address is None or ip_address(address).is_unspecified else address


def numeric_address(text: str) -> str | None:
    """Return an address in the usual form, from one as in /proc/net/tcp or as lsof prints it; None if it has none."""
    try:
        if re.fullmatch(r"[0-9A-F]{8}|[0-9A-F]{32}", text):  # 32 bits each in the byte order of x86 and ARM
            words = (bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8))
            address = ip_address(b"".join(words))
        else:
            address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
