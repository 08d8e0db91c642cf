"""The containers of a compose service, as `docker compose` and `podman-compose` label them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of a service."""

    identifier: str
    number: int
    runs: bool


def in_order(entries: Iterable[Mapping[str, Any]]) -> list[Replica]:
    """Sort the replicas of a service by preference: running ones by number, then the others."""
    replicas = [replica(entry) for entry in entries]
    return sorted(replicas, key=lambda replica: (not replica.runs, replica.number, replica.identifier))


def replica(entry: Mapping[str, Any]) -> Replica:
    """Return the replica for an entry of the engine's list."""
    number = str((entry.get("Labels") or {}).get(NUMBER_LABEL, ""))
    return Replica(entry["Id"], int(number) if number.isdecimal() else 0, entry.get("State") == "running")
