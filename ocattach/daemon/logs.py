"""Reading the logs of an environment's daemon, from where one was on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ocattach.daemon.script import RunCommand, parse_report, script_argv, script_input

DAEMON, OPENCODE = "daemon", "opencode"
SOURCES = (DAEMON, OPENCODE)
"""What the daemon that an ocattach started has printed, and what OpenCode itself has written down."""

AT_ONCE = 100
"""Lines of a log in one answer, which is of limited size."""


@dataclass(frozen=True, slots=True)
class Logs:
    """What came since the last time."""

    lines: Mapping[str, tuple[str, ...]]
    """By source."""

    files: Mapping[str, str]
    """Their paths in the environment; a source without a log is not there."""

    places: Mapping[str, str] = field(default_factory=dict)
    """Where reading is to go on."""

    has_more: bool = False
    """Whether there were more lines than an answer takes."""


def read_logs(
    run: RunCommand,
    *,
    last: int,
    after: Logs | None = None,
    env: tuple[tuple[str, str], ...] = (),
    unset_env: tuple[str, ...] = (),
    timeout: float,
) -> Logs:
    """The last lines of each log, or those that came `after` what was read before."""
    places = after.places if after else {}
    result = run(
        script_argv("logs.sh", str(last), str(AT_ONCE), *(places.get(source, "") for source in SOURCES)),
        stdin=script_input(env=env, unset=unset_env),
        timeout=timeout,
    )
    report = parse_report(result, script="logs")
    there = [source for source in SOURCES if f"{source}_file" in report]
    return Logs(
        lines={source: tuple(report.all(source)) for source in there},
        files={source: report.first(f"{source}_file") or "" for source in there},
        places={**places, **{source: report.first(f"{source}_place") or "" for source in there}},
        has_more="more" in report,
    )
