"""What goes wrong is said at once: the cause, and what to do, by message and by exit code."""

from pathlib import Path

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.docker import DockerEngine
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

on_docker = pytest.mark.parametrize("environment", ["docker"], indirect=True)
on_ssh = pytest.mark.parametrize("environment", ["ssh"], indirect=True)
on_local = pytest.mark.parametrize("environment", ["local"], indirect=True)
SOON = 20
"""Seconds, for what can be known at once."""


@on_docker
def test_a_container_without_opencode_is_named_with_where_was_looked(
    docker_engine: DockerEngine, laptop: Laptop
) -> None:
    with docker_engine.container("bare-app", variant="bare"):
        ran = laptop.run("docker://bare-app", "--print-url", timeout=SOON)

    assert ran.exit_code == 7
    for words in ("bare-app", "PATH", "/root/.opencode/bin/opencode", "npm install"):
        assert words in ran.stderr


@on_docker
def test_a_stopped_container_is_told_with_how_to_start_it(
    docker_engine: DockerEngine, laptop: Laptop
) -> None:
    docker_engine.client.containers.get("frontend-app").stop(timeout=0)
    ran = laptop.run("frontend", "--print-url", timeout=SOON)

    assert ran.exit_code == 6
    assert "not running" in ran.stderr
    assert "docker start frontend-app" in ran.stderr


@on_docker
def test_a_container_that_does_not_exist_is_told_with_near_names(laptop: Laptop) -> None:
    ran = laptop.run("docker://frontend-ap", "--print-url", timeout=SOON)

    assert ran.exit_code == 6
    assert "Did you mean frontend-app?" in ran.stderr


@on_docker
def test_an_engine_that_is_down_is_told(laptop: Laptop, workdir: Path) -> None:
    ran = laptop.run(
        "frontend", "--print-url", timeout=SOON, variables={"DOCKER_HOST": f"unix://{workdir}/none.sock"}
    )

    assert ran.exit_code == 6
    assert "docker info" in ran.stderr
    assert f"{workdir}/none.sock" in ran.stderr


@on_local
def test_a_name_that_means_nothing_is_told_with_near_names(laptop: Laptop) -> None:
    ran = laptop.run("frontned", "--print-url")

    assert ran.exit_code == 3
    assert "Did you mean frontend?" in ran.stderr


@on_local
def test_errors_are_one_json_document_where_json_was_asked_for(laptop: Laptop) -> None:
    ran = laptop.run("frontned", "--print-url", "-o", "json")

    assert ran.exit_code == 3
    assert ran.document["schema"] == 1
    assert ran.document["error"]["code"] == "no-such-connection"
    assert "frontend" in ran.document["error"]["hint"]


@on_ssh
def test_a_key_that_the_host_does_not_accept_is_told(
    ssh_machines: SSHMachines, laptop: Laptop, workdir: Path
) -> None:
    shim = ssh_machines.client_bin(workdir / "bin", identity=ssh_machines.stranger_identity)
    ran = laptop.run("frontend", "--print-url", variables={"PATH": f"{shim}:{laptop.variables['PATH']}"})

    assert ran.exit_code == 4
    assert "did not accept tester" in ran.stderr


@on_ssh
def test_a_changed_host_key_is_refused(ssh_machines: SSHMachines, laptop: Laptop, workdir: Path) -> None:
    shim = ssh_machines.client_bin(workdir / "bin", known_hosts=ssh_machines.changed_known_hosts)
    logins = laptop.environment.connections()
    ran = laptop.run("frontend", "--print-url", variables={"PATH": f"{shim}:{laptop.variables['PATH']}"})

    assert ran.exit_code == 4
    assert "has changed" in ran.stderr
    assert f"ssh-keygen -f {ssh_machines.changed_known_hosts} -R" in ran.stderr
    assert laptop.environment.connections() == logins


@on_ssh
def test_an_unknown_host_is_not_trusted_without_somebody_to_ask(
    ssh_machines: SSHMachines, laptop: Laptop, workdir: Path
) -> None:
    empty = workdir / "known_hosts"
    empty.touch()
    shim = ssh_machines.client_bin(workdir / "bin", known_hosts=empty)
    ran = laptop.run("frontend", "--print-url", variables={"PATH": f"{shim}:{laptop.variables['PATH']}"})

    assert ran.exit_code == 4
    assert "is not known and StrictHostKeyChecking is yes" in ran.stderr
    assert not empty.read_text()


@on_ssh
def test_a_password_only_host_without_a_terminal_is_told(laptop: Laptop) -> None:
    ran = laptop.run("ssh://passwd", "--print-url")

    assert ran.exit_code == 4
    assert "terminal" in ran.stderr


@on_ssh
def test_a_broken_configuration_in_the_environment_is_told_with_file_and_reason(
    environment: Environment, laptop: Laptop
) -> None:
    expect_its_configuration_told(environment, laptop, '{"model": 5}', "model")


@on_local
def test_so_is_one_that_is_no_json(environment: Environment, laptop: Laptop) -> None:
    expect_its_configuration_told(environment, laptop, '{"model": ', "ValueExpected")


def expect_its_configuration_told(
    environment: Environment, laptop: Laptop, content: str, reason: str
) -> None:
    """Connect to an environment that has this configuration."""
    file = environment.home / ".config/opencode/opencode.json"
    file.write_text(content)
    ran = laptop.run("frontend", "--print-url", "-o", "json")

    assert ran.exit_code == 1
    error = ran.document["error"]
    assert error["code"] == "environment-config"
    assert ".config/opencode/opencode.json" in error["message"]
    assert reason in error["message"]


@on_local
def test_the_tui_without_a_terminal_is_refused(environment: Environment, laptop: Laptop) -> None:
    ran = laptop.run("frontend")

    assert ran.exit_code == 2
    assert "--print-url" in ran.stderr
    assert not environment.processes()


@on_docker
def test_a_link_that_failed_does_not_stay(laptop: Laptop) -> None:
    laptop.run("docker://frontend-ap", "--print-url")

    wait_until(lambda: not laptop.links(), "the link to end")
