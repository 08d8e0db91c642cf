"""Attaching by a transport that another package brings."""

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop

pytestmark = pytest.mark.parametrize("environment", ["netns"], indirect=True)


def test_a_daemon_is_started_used_and_stopped_by_uri(environment: Environment, laptop: Laptop) -> None:
    uri = f"netns://{environment.entry['namespace']}:{environment.workdir}"

    daemon = laptop.connect(uri)
    session = daemon.make_session()
    assert daemon.document["route"] == environment.route
    assert laptop.run("session", "show", session).exit_code == 0
    stopped = laptop.run(uri, "--stop")

    assert stopped.exit_code == 0, stopped.stderr
    environment.wait_until_nothing_runs()


def test_a_saved_connection_is_listed_and_its_status_shown(laptop: Laptop) -> None:
    shown = laptop.run("--status", "frontend", "-o", "json")

    (connection,) = laptop.run("--list", "-o", "json").document["connections"]
    assert connection["name"] == "frontend"
    assert connection["uri"].startswith("netns://frontend-app-")
    (status,) = shown.document["environments"]
    assert status["state"] == "stopped"
