"""A dockerd of an ordinary user's: rootlesskit, a user namespace, and a socket in XDG_RUNTIME_DIR."""

import pytest

from tests.docker.laptops import Laptop, handler_for
from tests.docker.test_direct import IN_THE_CONTAINER, start_by_hand, visit_on
from tests.rigs.docker import RootlessDockerEngine
from tests.rigs.ordinary_user import USER_ID


def test_the_engine_is_a_rootless_one(rootless_docker_engine: RootlessDockerEngine) -> None:
    assert "name=rootless" in rootless_docker_engine.client.info()["SecurityOptions"]


def test_root_in_its_container_is_the_user_outside(rootless_docker_engine: RootlessDockerEngine) -> None:
    with (
        rootless_docker_engine.container("frontend-app") as container,
        handler_for("frontend-app", host=rootless_docker_engine.url) as handler,
    ):
        assert handler.run(["id", "-u"], timeout=60).stdout == b"0\n"
        assert container.process.stat().st_uid == USER_ID


def test_the_context_that_its_installer_makes_leads_to_it(
    rootless_docker_engine: RootlessDockerEngine, laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As dockerd-rootless-setuptool.sh does it: cli_ctx_create, cli_ctx_use.
    endpoint = f"host=unix://{rootless_docker_engine.runtime}/docker.sock"
    laptop.docker("context", "create", "rootless", "--docker", endpoint)
    laptop.docker("context", "use", "rootless")
    for name, value in laptop.variables.items():
        monkeypatch.setenv(name, value)

    with rootless_docker_engine.container("frontend-app"), handler_for("frontend-app") as handler:
        assert handler.check_available().summary == "Container is running"


def test_a_port_that_rootlesskit_forwards_is_not_taken_for_the_daemons(
    rootless_docker_engine: RootlessDockerEngine,
) -> None:
    ports = {f"{IN_THE_CONTAINER}/tcp": ("127.0.0.1", 8125)}
    with rootless_docker_engine.container("published", network_mode="bridge", ports=ports) as container:
        start_by_hand(container, "0.0.0.0")  # noqa: S104

        assert visit_on(rootless_docker_engine, container="published")["route"] == "relay"
