"""A container of dockerd's."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.environments.container import container_environment
from tests.environments.environment import Environment, Make
from tests.rigs.docker import DockerEngine


def docker_environment(fixture: str, *, on_host: bool = False) -> Make:
    """A new container of the dockerd that a fixture starts, without any network or on this machine's."""

    @contextmanager
    def make(request: pytest.FixtureRequest) -> Iterator[Environment]:
        engine: DockerEngine = request.getfixturevalue(fixture)
        variables = {"DOCKER_HOST": engine.url}
        with container_environment("docker", engine, variables, on_host=on_host) as environment:
            yield environment

    return make
