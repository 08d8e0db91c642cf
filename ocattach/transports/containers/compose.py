"""The containers of a compose service, as `docker compose` and `podman-compose` label them."""

from collections.abc import Iterable, Mapping
from typing import Any

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"


def in_order(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of a service's containers by preference: running ones by number, then the others."""

    def rank(entry: Mapping[str, Any]) -> tuple[bool, int, str]:
        number = str((entry.get("Labels") or {}).get(NUMBER_LABEL, ""))
        return entry.get("State") != "running", int(number) if number.isdecimal() else 0, entry["Id"]

    return [entry["Id"] for entry in sorted(entries, key=rank)]
