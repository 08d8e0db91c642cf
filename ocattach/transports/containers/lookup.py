"""Finds the containers that a connection can mean: those of a compose service, and the dev containers of a folder."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ocattach.config.files.devcontainer import configurations
from ocattach.config.suggestion import question
from ocattach.config.targets.container import ContainerTarget
from ocattach.errors import EnvironmentNotFoundError, OcattachError, UsageError
from ocattach.printable import command_line
from ocattach.transports.containers.devcontainer import FOLDER_LABEL, is_made_for
from ocattach.transports.containers.engine import Engine

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONE_OFF_LABEL = "com.docker.compose.oneoff"
"""True for a container of `docker compose run` (docker/compose, pkg/api/labels.go)."""

PODMAN_LABEL = "io.podman.compose.project"


def replicas(engine: Engine, target: ContainerTarget, *, name: str, program: str) -> list[str]:
    """Return the ids of the containers that a target without a name means, the preferred one first.

    `name` and `program` are those of the engine, for messages. Raises EnvironmentNotFoundError if there are none.
    """
    if target.devcontainer is not None and not target.devcontainer.startswith("/"):
        raise UsageError(f"devcontainer {target.devcontainer!r} is not absolute", hint="Begin it with / ")
    labels = [f"{PROJECT_LABEL}={target.compose_project}", f"{SERVICE_LABEL}={target.compose_service}"]
    with engine.errors_translated():
        entries = engine.client.containers(
            all=True, filters={"label": [FOLDER_LABEL] if target.devcontainer else labels}
        )
        if target.devcontainer is not None:
            entries = [entry for entry in entries if is_made_for(entry, target.devcontainer)]
        found = in_order(entries)
    if not found:
        what = description(target) if target.devcontainer else f"container for {description(target)}"
        raise EnvironmentNotFoundError(f"{name} has no {what}", hint=start_hint(target, program))
    return found


def description(target: ContainerTarget) -> str:
    """Return what a target without a name means: "service api of compose project shop"."""
    if target.devcontainer is not None:
        return f"dev container of {target.devcontainer}"
    return f"service {target.compose_service} of compose project {target.compose_project}"


def running(name: str, count: int, target: ContainerTarget) -> str:
    """Return the step for a running container, which is one of `count` that a target without a name means."""
    if target.devcontainer is not None:
        among = f"one of {count} dev containers" if count > 1 else "the dev container"
        return f"Container {name} is running, {among} of {target.devcontainer}"
    if count > 1:
        return f"Container {name} is running, one of {count} of service {target.compose_service}"
    return "Container is running"


def start_hint(target: ContainerTarget, program: str) -> str:
    """Return the hint with the command that starts what a target without a name means."""
    if target.devcontainer is not None:
        up: tuple[str, ...] = devcontainer_command("up", target.devcontainer, program)
    else:
        project, service = target.compose_project or "", target.compose_service or ""
        up = (program, "compose", "--project-name", project, "up", "--detach", service)
    return f"Start one: {command_line(*up)}"


def devcontainer_command(verb: str, folder: str, program: str) -> tuple[str, ...]:
    """Return a command line of the dev container tools for a folder, with a configuration that is not the default."""
    path = () if program == "docker" else ("--docker-path", program)
    files = configurations(Path(folder))
    named = ("--config", str(files[0])) if files and files[0].parent.parent.name == ".devcontainer" else ()
    return ("devcontainer", verb, *path, "--workspace-folder", folder, *named)


def exec_command(target: ContainerTarget, program: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command line that runs a command in the container, without that command."""
    user = ("--user", target.user) if target.user else ()
    if target.container:
        return (program, *options, "exec", "-i", *user, target.container)
    if target.devcontainer is not None:
        return devcontainer_command("exec", target.devcontainer, program)
    project, service = target.compose_project or "", target.compose_service or ""
    return (program, *options, "compose", "--project-name", project, "exec", "-T", *user, service)


def not_found(engine: Engine, name: str, *, message: str, program: str) -> OcattachError:
    """Return the error for a container that the engine does not have, with similar names in the hint."""
    with engine.errors_translated():
        entries = engine.client.containers(all=True)
        names = [name.lstrip("/") for entry in entries for name in entry["Names"]]
    hint = question(name, names) or f"List the containers: {program} ps --all"
    return EnvironmentNotFoundError(message, hint=hint)


def in_order(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of a service's containers by preference: running ones by number, then the others.

    Containers of `compose run` are left out: they run another command, and end with it.
    """

    def rank(entry: Mapping[str, Any]) -> tuple[bool, int, str]:
        number = str(labels(entry).get(NUMBER_LABEL, ""))
        return entry.get("State") != "running", int(number) if number.isdecimal() else 0, entry["Id"]

    return [entry["Id"] for entry in sorted(entries, key=rank) if not is_one_off(entry)]


def is_one_off(entry: Mapping[str, Any]) -> bool:
    """Return whether `compose run` made a container.

    Those of podman-compose have the labels of the service, and names PROJECT_SERVICE_tmpN (podman_compose.py).
    """
    found = labels(entry)
    first = f"{found.get(PODMAN_LABEL)}_{found.get(SERVICE_LABEL)}_tmp"
    names = [str(each).removeprefix("/") for each in entry.get("Names") or ()]
    return str(found.get(ONE_OFF_LABEL)).lower() == "true" or any(
        each.startswith(first) and re.fullmatch("[0-9]+", each.removeprefix(first)) for each in names
    )


def labels(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the labels in an entry of the list of containers."""
    return entry.get("Labels") or {}
