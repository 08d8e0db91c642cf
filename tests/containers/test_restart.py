"""A container that was restarted behind a link's back."""

import http.client
import re

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.engine import ContainerEngine


@pytest.mark.parametrize("environment", ["docker", "podman-rootless"], indirect=True)
def test_a_restarted_container_is_connected_to_anew_and_that_is_said(
    request: pytest.FixtureRequest, environment: Environment
) -> None:
    engines = {
        "docker": "docker_engine",
        "podman": "podman_engine",
        "podman-rootless": "rootless_podman_engine",
    }
    name = request.node.callspec.params["environment"]
    engine: ContainerEngine = request.getfixturevalue(engines[name])
    laptop = Laptop(environment)
    laptop.save()
    try:
        before = laptop.connect()
        engine.client.containers.get("frontend-app").restart(timeout=0)
        ran = laptop.run("frontend", "--print-url")

        assert ran.exit_code == 0, ran.stderr
        assert "The connection was lost" in ran.stderr
        assert re.search("[Ss]tarted.* on port", ran.stderr)

        after = laptop.connect()
        assert after.document["url"] == before.document["url"]
        assert after.document["password"] == before.document["password"]
        assert before.request("GET", "/global/health")[0] == http.client.OK
    finally:
        laptop.end_links()
