"""A container of podman's, run by root or by an ordinary user."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.environments.container import container_environment
from tests.environments.environment import Environment, Make
from tests.rigs.podman import PodmanEngine


def podman_environment(fixture: str) -> Make:
    """A new container of the podman that a fixture starts."""

    @contextmanager
    def make(request: pytest.FixtureRequest) -> Iterator[Environment]:
        engine: PodmanEngine = request.getfixturevalue(fixture)
        with container_environment("podman", engine, {"CONTAINER_HOST": engine.url}) as environment:
            yield environment

    return make
