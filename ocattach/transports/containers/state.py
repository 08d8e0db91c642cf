"""What a container's state means for those who want to work in it."""

from collections.abc import Mapping
from typing import Any

from ocattach.errors import EnvironmentNotRunningError

STOPPED = ("it has ended, with exit code {exit_code}", "{program} start {name}")
NEVER_STARTED = ("it was made and never started", "{program} start {name}")

STATES = {
    "created": NEVER_STARTED,
    "initialized": NEVER_STARTED,
    "exited": STOPPED,
    "stopped": STOPPED,
    "stopping": ("it is just being stopped", "{program} start {name}"),
    "paused": ("it is paused", "{program} unpause {name}"),
    "restarting": (
        "it keeps ending; its engine has restarted it (so far {restarts} times)",
        "{program} logs {name}",
    ),
    "dead": ("it is dead: its engine could not remove it whole", "{program} rm --force {name}"),
    "removing": ("it is just being removed", "{program} ps --all"),
}
"""For each status of Docker's and Podman's what it means, and what to do."""

RESTARTED = frozenset({"exited", "stopped", "stopping", "initialized"})
"""States through which Podman leads a container that it restarts, without another word for it."""


def check_running(container: Mapping[str, Any], *, program: str) -> None:
    """Raise EnvironmentNotRunningError unless commands can run in a container, from what the engine knows of it.

    `program` is the engine's command line, which the hint tells to type.
    """
    status = container["State"]["Status"]
    if status in RESTARTED and is_restarted(container):
        status = "restarting"
    if status != "running":
        raise not_running(container, status, program=program)


def check_steady(container: Mapping[str, Any], *, since: str | None, program: str) -> None:
    """As `check_running`, after a command had failed: a container that was restarted meanwhile is no running one.

    `since` is when it had been started as it was looked at before, None where it was not.
    """
    check_running(container, program=program)
    if is_restarted(container) and container["State"].get("StartedAt") != since:
        raise not_running(container, "restarting", program=program)


def is_restarted(container: Mapping[str, Any]) -> bool:
    """Whether the engine restarts the container by itself, and has."""
    policy = container.get("HostConfig", {}).get("RestartPolicy", {}).get("Name")
    return bool(container.get("RestartCount")) and policy not in {None, "", "no"}


def not_running(container: Mapping[str, Any], status: str, *, program: str) -> EnvironmentNotRunningError:
    """The error for a container in a state."""
    name = container["Name"].lstrip("/")
    cause, step = STATES.get(status, (f"it is {status}", "{program} ps --all"))
    words = {
        "program": program,
        "name": name,
        "exit_code": container["State"].get("ExitCode"),
        "restarts": container.get("RestartCount"),
    }
    return EnvironmentNotRunningError(
        f"Container {name} is not running: {cause.format(**words)}", hint=f"Try: {step.format(**words)}"
    )
