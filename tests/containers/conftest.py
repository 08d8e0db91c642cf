"""Both engines, for what must be the same on both."""

from dataclasses import dataclass
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.containers.transport import ContainerTransport
from tests.environments.environment import ask_nobody
from tests.rigs.engine import ContainerEngine


@dataclass(frozen=True, slots=True)
class Place:
    """An engine, and how a user gets at its containers."""

    scheme: str
    """Which is the program's name, too."""

    engine: ContainerEngine

    def handler(self, container: str | None = None, **entry: Any) -> ContainerTransport:
        """A handler for a container."""
        where = {"container": container} if container else {}
        whole = {"transport": self.scheme, "host": self.engine.url, **where, **entry}
        handler = open_handler(ConnectionSpec.from_entry(whole), ask=ask_nobody, timeout=30)
        assert isinstance(handler, ContainerTransport)
        return handler


@pytest.fixture(params=["docker", "podman"])
def place(request: pytest.FixtureRequest) -> Place:
    """Docker and Podman, of root's: an ordinary user's podman cannot pause where cgroups are of version 1."""
    return Place(request.param, request.getfixturevalue(f"{request.param}_engine"))
