"""Errors for containers in which no command can run."""

from collections.abc import Mapping
from typing import Any

from ocattach.errors import AuthenticationError, EnvironmentNotRunningError, ShellNotFoundError
from ocattach.execution import CommandResult
from ocattach.printable import command_line

NOT_FOUND_TEXTS = (b"executable file not found", b"no such file or directory")
"""Messages of runc and crun. Docker gives exit code 126 or 127 and this text on stdout, Podman 127 on stderr."""

UNKNOWN_USER = "unable to find user"
"""Part of Docker's output with exit code 126, and of Podman's error."""

NAME = "NAME"
"""Stands for the container in the commands of STATES."""

STOPPED = ("it exited with code", ("start", NAME))
NEVER_STARTED = ("it was created but never started", ("start", NAME))

STATES = {
    "created": NEVER_STARTED,
    "initialized": NEVER_STARTED,
    "exited": STOPPED,
    "stopped": STOPPED,
    "stopping": ("it is being stopped", ("start", NAME)),
    "paused": ("it is paused", ("unpause", NAME)),
    "restarting": ("it keeps exiting; the engine has restarted it", ("logs", NAME)),
    "dead": ("it is dead: the engine could not remove it completely", ("rm", "--force", NAME)),
    "removing": ("it is being removed", ("ps", "--all")),
}
"""For each status of Docker and Podman the cause, and the next command."""

RESTARTED = frozenset({"exited", "stopped", "stopping", "initialized"})
"""The states of a container that Podman restarts; it has no status for that."""


def check_running(container: Mapping[str, Any], *, program: str, start_hint: str = "") -> None:
    """Raise EnvironmentNotRunningError unless commands can run in a container.

    `container` is the engine's description, `program` the engine's command line for the hint; `start_hint` takes the
    place of `start NAME`.
    """
    status = container["State"]["Status"]
    if status in RESTARTED and is_restarted(container):
        status = "restarting"
    if status != "running":
        raise not_running(container, status, program=program, start_hint=start_hint)


def check_steady(container: Mapping[str, Any], *, since: str | None, program: str) -> None:
    """As `check_running`, after a failed command: a container that was restarted since then does not count as running.

    `since` is the time of the start seen before the command, None if it was not checked.
    """
    check_running(container, program=program)
    if is_restarted(container) and container["State"].get("StartedAt") != since:
        raise not_running(container, "restarting", program=program)


def is_restarted(container: Mapping[str, Any]) -> bool:
    """Return whether the engine has restarted the container."""
    policy = container.get("HostConfig", {}).get("RestartPolicy", {}).get("Name")
    return bool(container.get("RestartCount")) and policy not in {None, "", "no"}


def not_running(
    container: Mapping[str, Any], status: str, *, program: str, start_hint: str = ""
) -> EnvironmentNotRunningError:
    """Return the error for a container in a state."""
    name = container["Name"].lstrip("/")
    cause, step = STATES.get(status, (f"it is {status}", ("ps", "--all")))
    if status == "restarting":
        cause = f"{cause} {container.get('RestartCount')} times"
    elif (cause, step) == STOPPED:
        cause = f"{cause} {container['State'].get('ExitCode')}"
    command = command_line(program, *(name if word == NAME else word for word in step))
    hint = start_hint if start_hint and step[0] == "start" else f"Try: {command}"
    return EnvironmentNotRunningError(f"Container {name} is not running: {cause}", hint=hint)


def check_started(result: CommandResult, *, user: str | None, place: str, program: str, name: str) -> None:
    """Raise the error for a shell that could not be started: the engine reports it in the command's own output.

    Called after exit code 126 or 127. `name` and `place` are the container's, `program` is the engine's command line.
    """
    output = result.stdout + result.stderr
    if output.startswith(UNKNOWN_USER.encode()):
        raise unknown_user(user, place, program, name)
    if b'exec: "sh": ' in output and any(text in output for text in NOT_FOUND_TEXTS):
        raise no_shell(place)


def unknown_user(user: str | None, place: str, program: str, name: str) -> AuthenticationError:
    """Return the error for a user that the container does not have."""
    return AuthenticationError(
        f"No user {user} in {place}",
        hint=f"List the users: {command_line(program, 'exec', name, 'cat', '/etc/passwd')}",
    )


def no_shell(place: str) -> ShellNotFoundError:
    """Return the error for a container without a shell."""
    return ShellNotFoundError(
        f"No shell (sh) in {place}",
        hint="ocattach and OpenCode's tools need one: use a base image with a shell, or add busybox",
    )
