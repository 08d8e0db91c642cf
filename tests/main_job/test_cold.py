"""Where nothing runs yet: what is said and done before a daemon is."""

import http.client
from pathlib import Path

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.main_job.test_connect import NO_PROXIES_THERE
from tests.main_job.test_failures import SOON
from tests.main_job.test_terminal import terminal

pytestmark = pytest.mark.one_of_each(
    also=["https", "podman-rootless", "ssh-master", "ssh-paramiko", "ssh-password"]
)
"""Docker's variants, a jump host and a gateway's key are other ways in: see tests/contract/test_running_daemon.py."""


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: no test leaves a daemon running."""
    return shared_environment


@pytest.mark.every_way_in
def test_disconnecting_what_is_not_connected_is_harmless(laptop: Laptop) -> None:
    ran = laptop.run("--disconnect", "frontend")

    assert ran.exit_code == 0
    assert "not connected" in ran.stderr


def test_no_start_says_that_none_runs_and_starts_none(environment: Environment, laptop: Laptop) -> None:
    ran = laptop.run("frontend", "--print-url", "--no-start")

    assert ran.exit_code == 6
    environment.wait_until_nothing_runs()


@pytest.mark.every_way_in
def test_a_missing_working_directory_is_told_before_anything_starts(
    environment: Environment, laptop: Laptop
) -> None:
    ran = laptop.run("frontend", "--print-url", "--workdir", "/no/such/place", timeout=SOON)

    assert ran.exit_code == 1
    assert "/no/such/place" in ran.stderr
    if environment.starts_daemons:
        environment.wait_until_nothing_runs()


@pytest.mark.parametrize("shared_environment", ["local"], indirect=True)
def test_without_an_opencode_here_the_tui_is_refused_before_anything_starts(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    laptop.save("elsewhere", opencode="/no/such/opencode")
    path = "/usr/bin:/bin"
    with terminal(laptop, workdir, "frontend", PATH=path) as opened:
        assert opened.wait_for_exit() == 7
        assert "No opencode on this machine" in opened.screen()
    assert not environment.processes()


@pytest.mark.parametrize("shared_environment", ["local"], indirect=True)
def test_a_daemon_starts_with_a_proxy_in_its_users_environment(laptop: Laptop) -> None:
    daemon = laptop.connect("frontend", variables=NO_PROXIES_THERE)

    assert daemon.document["daemon"]["started"]
    assert daemon.request("GET", "/global/health")[0] == http.client.OK
    assert laptop.run("--stop", "frontend").exit_code == 0
