"""Starts and stops the daemon of an environment."""

from typing import NamedTuple

from ocattach.daemon.probe import NUMBER, FoundDaemon, Probe, daemons
from ocattach.daemon.script import DEFAULTS, DaemonSettings, Report, RunCommand, run_script
from ocattach.daemon.unusable import ended_at_once, not_found
from ocattach.errors import DaemonStartError, OcattachError, TimedOutError, WorkdirNotFoundError
from ocattach.printable import command_line

STOP_SECONDS = 5
ANSWER_SECONDS = 5
"""How much longer than its script a command may take before it times out."""

OWN_HOME = (
    'Connect as another user, or set HOME in the connection, "env": {"HOME": "/DIR"}, to a directory that belongs to '
    "this user, such as a volume"
)


class DaemonStatus(NamedTuple):
    """Whether a daemon runs, and how to connect to it."""

    daemon: FoundDaemon | None = None
    started: bool = False
    """Whether the call that returned this started the daemon."""

    @property
    def running(self) -> bool:
        """Whether a daemon runs."""
        return self.daemon is not None

    @property
    def port(self) -> int | None:
        """The daemon's port in the environment."""
        return self.daemon.port if self.daemon else None


def start_daemon(run: RunCommand, settings: DaemonSettings, *, password: str, timeout: float) -> DaemonStatus:
    """Start `opencode serve` and wait until it listens. If another client started one meanwhile, return that.

    Raises DaemonStartError with the end of the daemon's log, WorkdirNotFoundError, or TimedOutError after `timeout`
    seconds.
    """
    report = run_script(
        run,
        "start",
        settings.workdir or "",
        settings.opencode or "",
        str(settings.port or 0),
        str(max(1, int(timeout))),
        "login" if settings.login_path else "",
        settings=settings,
        password=password,
        timeout=timeout + ANSWER_SECONDS,
    )
    found = daemons(report)
    if "error" in report or not found:
        raise full_disk_error(report) or start_error(report, settings, timeout)
    started = any(line.startswith("started ") for line in report.all("daemon"))
    return DaemonStatus(found[0], started)


def start_error(report: Report, settings: DaemonSettings, timeout: float) -> OcattachError:
    """Return the error for an answer of start.sh without a daemon."""
    log = "\n".join(report.all("log"))
    ending = f"; its log ends:\n{log}" if log else ""
    match report.first("error"):
        case "no-workdir":
            return WorkdirNotFoundError(
                f"The working directory {report.first('workdir')} cannot be entered in the environment",
                hint="Choose another directory with --workdir",
            )
        case "home-unwritable" | "state-unwritable" | "state-foreign" | "odd-file" as reason:
            return storage_error(reason, report)
        case "daemon-silent" | "start-locked":
            return TimedOutError(
                f"opencode serve did not listen within {timeout:.0f} s{ending}",
                hint="Wait longer with --timeout",
            )
        case "daemon-exited" if settings.port and "ServeError" in log:
            return DaemonStartError(
                f"opencode serve cannot listen on port {settings.port} in the environment: the port is in use",
                hint="Set another `port` in the connection, or remove it",
            )
        case "daemon-exited":
            return ended_at_once(
                settings.opencode or "opencode", exit_code=report.first("exit_code"), log=log
            )
        case reason:
            return DaemonStartError(
                f"opencode serve could not be started ({reason or 'no reason reported'}){ending}"
            )


def full_disk_error(report: Report) -> DaemonStartError | None:
    """Return the error for an answer of start.sh about a disk without room; None if it was something else."""
    full = report.first("full")
    if not full or report.first("error") not in ("home-unwritable", "state-unwritable", "daemon-exited"):
        return None
    commands = "; ".join(command_line("df", option, full) for option in ("-h", "-i"))
    return DaemonStartError(
        f"OpenCode cannot store its data: the disk of {full} in the environment, or a quota, is full",
        hint=f"Free space or inodes there: {commands}",
    )


def storage_error(reason: str, report: Report) -> DaemonStartError:
    """Return the error for a home, or a record in it, that cannot be used."""
    home = report.first("home") or "/"
    if reason == "state-foreign":
        return foreign_state_error(home)
    if reason == "odd-file":
        odd = report.first("odd") or ""
        return DaemonStartError(
            f"The record or log of the daemon is not a regular file in the environment: {odd}",
            hint=f"Remove it there: {command_line('rm', '-r', odd)}",
        )
    return home_error(home, where="in the environment", home=home)


def foreign_state_error(home: str) -> DaemonStartError:
    """Return the error for a state directory that another account has made, which could replace what is in it."""
    return DaemonStartError(
        "The directory for the record of the daemon belongs to another account of the environment, or is a symbolic "
        f"link: .local/state/ocattach below {home}, unless XDG_STATE_HOME is set",
        hint=OWN_HOME,
    )


def check_opencode(found: Probe, place: str, where: str) -> str:
    """Return the path of `opencode` in an environment, which errors call `place`, and `where` with a preposition.

    Raises OpencodeNotFoundError, or DaemonStartError when it could not write its data.
    """
    if found.unwritable:
        raise home_error(found.unwritable, where=where, home=found.home)
    if not found.opencode:
        raise not_found(found.tried, system=found.system, environment=place)
    return found.opencode


def home_error(directory: str, *, where: str, home: str) -> DaemonStartError:
    """Return the error for a home in which OpenCode cannot make its database; it exits then (EACCES, mkdir)."""
    return DaemonStartError(
        f"OpenCode cannot store its data: {directory} {where} is not writable for this user, whose HOME is {home}",
        hint=OWN_HOME,
    )


def stop_daemon(run: RunCommand, settings: DaemonSettings = DEFAULTS, *, pid: int) -> int | None:
    """Stop the daemon with that pid, and delete its record if it has one.

    The record is below the HOME that the daemon was started with, which the settings may set.
    Return the pid; None if the daemon has ended before. Raises TimedOutError, or OcattachError if the process is not
    a daemon of this account.
    """
    report = run_script(
        run, "stop", str(pid), str(STOP_SECONDS), settings=settings, timeout=STOP_SECONDS + ANSWER_SECONDS
    )
    match report.first("error"):
        case "still-running":
            raise TimedOutError(
                f"The daemon (pid {pid}) did not stop within {STOP_SECONDS} s",
                hint="It may be busy; try again",
            )
        case "not-ours":
            raise OcattachError(
                f"Process {pid} was not stopped: it is not a daemon of this account with the connection's data",
                hint=f"Look at it in the environment: ps -p {pid}",
            )
    stopped = report.first("stopped") or ""
    return int(stopped) if NUMBER.fullmatch(stopped) else None
