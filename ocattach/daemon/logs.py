"""Reads the logs of an environment's daemon, starting after the lines that were read before."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ocattach.daemon.script import DEFAULTS, DaemonSettings, RunCommand, run_script

DAEMON, OPENCODE = "daemon", "opencode"
SOURCES = (DAEMON, OPENCODE)
"""The output of a daemon that ocattach started, and the log that OpenCode writes itself."""

AT_ONCE = 100
"""Lines of each log in one answer, whose size is limited."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The new lines of each log."""

    lines: Mapping[str, tuple[str, ...]]
    """By source."""

    files: Mapping[str, str]
    """By source, their paths in the environment, for the logs that exist."""

    positions: Mapping[str, str] = field(default_factory=dict)
    """By source, where to continue reading."""

    has_more: bool = False
    """Whether there are more lines than one answer can have."""


def read_logs(
    run: RunCommand,
    settings: DaemonSettings = DEFAULTS,
    *,
    last: int,
    after: Logs | None = None,
    timeout: float,
) -> Logs:
    """Return the `last` lines of each log, or the lines `after` an earlier answer."""
    positions = after.positions if after else {}
    report = run_script(
        run,
        "logs",
        str(last),
        str(AT_ONCE),
        *(positions.get(source, "") for source in SOURCES),
        settings=settings,
        timeout=timeout,
    )
    found = [source for source in SOURCES if f"{source}_file" in report]
    return Logs(
        lines={source: tuple(report.all(source)) for source in found},
        files={source: report.first(f"{source}_file") or "" for source in found},
        positions={**positions, **{source: report.first(f"{source}_place") or "" for source in found}},
        has_more="more" in report,
    )
