"""A container of dockerd's."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.environments.container import container_environment
from tests.environments.environment import Environment
from tests.rigs.docker import DockerEngine


@contextmanager
def docker_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """A new container without any network."""
    engine: DockerEngine = request.getfixturevalue("docker_engine")
    with container_environment("docker", engine, {"DOCKER_HOST": engine.url}) as environment:
        yield environment


@contextmanager
def host_network_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """A new container on this machine's network."""
    engine: DockerEngine = request.getfixturevalue("host_network_engine")
    with container_environment("docker", engine, {"DOCKER_HOST": engine.url}, on_host=True) as environment:
        yield environment
