"""The containers of a compose service, as `docker compose` and `podman-compose` label them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONE_OFF_LABEL = "com.docker.compose.oneoff"
"""True for a container of `docker compose run` (docker/compose, pkg/api/labels.go)."""

PODMAN_LABEL = "io.podman.compose.project"


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
