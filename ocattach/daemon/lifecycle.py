"""Starting and ending the daemon of an environment."""

from dataclasses import dataclass

from ocattach.daemon.failures import ended_at_once
from ocattach.daemon.probe import FoundDaemon, daemons
from ocattach.daemon.script import Report, RunCommand, parse_report, script_argv, script_input
from ocattach.errors import (
    DaemonStartError,
    OcattachError,
    TimedOutError,
    WorkdirNotFoundError,
)

STOP_SECONDS = 5
ANSWER_SECONDS = 5
"""How much longer than its script a command may take before the connection counts as stuck."""


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """Whether a daemon runs, and what is needed to use it."""

    running: bool
    daemon: FoundDaemon | None = None
    started: bool = False
    """True when the call that returned this started the daemon."""

    @property
    def port(self) -> int | None:
        """The daemon's port in its environment."""
        return self.daemon.port if self.daemon else None


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What is needed to start a daemon."""

    opencode: str
    """Path of the program in the environment."""

    password: str
    workdir: str | None = None
    port: int | None = None
    """None: 4096 if it is free there, else any (opencode's own rule for `--port 0`)."""

    env: tuple[tuple[str, str], ...] = ()
    unset_env: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"StartRequest(opencode={self.opencode!r}, workdir={self.workdir!r}, port={self.port})"


def start_daemon(run: RunCommand, request: StartRequest, *, timeout: float) -> DaemonStatus:
    """Start `opencode serve` and return once it answers requests; when another client was faster, with its daemon.

    Raises DaemonStartError with the end of the daemon's log, WorkdirNotFoundError,
    or TimedOutError after `timeout` seconds.
    """
    result = run(
        script_argv(
            "start.sh",
            request.workdir or "",
            request.opencode,
            str(request.port or 0),
            str(max(1, int(timeout))),
        ),
        stdin=script_input(env=request.env, unset=request.unset_env, password=request.password),
        timeout=timeout + ANSWER_SECONDS,
    )
    report = parse_report(result, script="start")
    found = daemons(report)
    if not found:
        raise start_error(report, request, timeout)
    started = any(line.startswith("started ") for line in report.all("daemon"))
    return DaemonStatus(running=True, daemon=found[0], started=started)


def start_error(report: Report, request: StartRequest, timeout: float) -> OcattachError:
    """Why there is no daemon, from what start.sh answered."""
    log = "\n".join(report.all("log"))
    match report.first("error"):
        case "no-workdir":
            return WorkdirNotFoundError(
                f"The working directory {request.workdir} cannot be entered in the environment",
                hint="Name another with --workdir",
            )
        case "home-unwritable" | "state-unwritable":
            home = report.first("home") or "/"
            return home_error(home, place="the environment", home=home)
        case "daemon-silent" | "start-locked":
            return TimedOutError(
                f"opencode serve did not listen within {timeout:.0f} s"
                + (f"; its log ends:\n{log}" if log else ""),
                hint="Give it longer with --timeout",
            )
        case "daemon-exited" if request.port and "ServeError" in log:
            return DaemonStartError(
                f"opencode serve cannot listen on port {request.port} in the environment: it is taken",
                hint="Choose another port for the daemon in the connection, or none",
            )
        case "daemon-exited":
            return ended_at_once(request.opencode, exit_code=report.first("exit_code"), log=log)
        case reason:
            return DaemonStartError(
                f"opencode serve could not be started ({reason or 'no reason given'})"
                + (f"; its log ends:\n{log}" if log else "")
            )


def home_error(directory: str, *, place: str, home: str) -> DaemonStartError:
    """OpenCode keeps its database below HOME and exits when it cannot (EACCES, mkdir)."""
    told = f"{directory} in {place} is not writable for this account, whose HOME is {home}"
    return DaemonStartError(
        f"OpenCode cannot keep its data: {told}",
        hint='Connect as another user, or give it a home in the connection: "env": {"HOME": "/tmp/opencode-home"}',
    )


def stop_daemon(
    run: RunCommand,
    *,
    foreign_pid: int | None = None,
    env: tuple[tuple[str, str], ...] = (),
    unset_env: tuple[str, ...] = (),
) -> int | None:
    """End the daemon that an ocattach started, or `foreign_pid` where none is recorded.

    It is recorded below the HOME that it was started with, which `env` may have set.
    The pid that ended, None without one.
    """
    result = run(
        script_argv("stop.sh", str(foreign_pid or ""), str(STOP_SECONDS)),
        stdin=script_input(env=env, unset=unset_env),
        timeout=STOP_SECONDS + ANSWER_SECONDS,
    )
    report = parse_report(result, script="stop")
    if "error" in report:
        raise TimedOutError(
            f"The daemon did not end within {STOP_SECONDS} s", hint="Try again; it may have been busy"
        )
    stopped = report.first("stopped")
    return int(stopped) if stopped else None
