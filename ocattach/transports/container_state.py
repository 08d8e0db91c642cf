"""What a container's state means for those who want to work in it."""

from collections.abc import Mapping
from typing import Any

from ocattach.errors import EnvironmentNotRunningError

NEXT_STEPS = {
    "created": "{program} start {name}",
    "exited": "{program} start {name}",
    "paused": "{program} unpause {name}",
    "restarting": "{program} logs {name}",
    "dead": "{program} rm {name}, and create it again",
    "removing": "{program} ps --all",
}


def check_running(container: Mapping[str, Any], *, program: str) -> None:
    """Raise EnvironmentNotRunningError unless commands can run in a container, from what the engine knows of it.

    `program` is the engine's command line, which the hint tells to type.
    """
    status = container["State"]["Status"]
    if status != "running":
        name = container["Name"].lstrip("/")
        step = NEXT_STEPS.get(status, "{program} ps --all").format(program=program, name=name)
        raise EnvironmentNotRunningError(f"Container {name} is {status}, not running", hint=f"Try: {step}")
