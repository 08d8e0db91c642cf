"""Two laptops of one person, and a daemon that takes the place of another: each start makes a new password."""

import http.client

import pytest

from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import Laptop
from tests.main_job.test_reconnecting import end_daemon
from tests.rigs.waiting import wait_until


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_a_link_goes_on_with_the_daemon_that_another_laptop_has_started(
    environment: Environment, laptop: Laptop
) -> None:
    with new_laptop(environment) as other:
        mine, theirs = laptop.connect(), other.connect()
        end_daemon(environment, laptop)
        assert mine.request("POST", "/session", {"title": "in the new one"})[0] == http.client.OK

        wait_until(
            lambda: theirs.request("GET", "/session")[0] == http.client.OK, "the new daemon to be found"
        )
        assert theirs.request("POST", "/session", {"title": "from both"})[0] == http.client.OK
        assert laptop.connect().document["daemon"]["pid"] == other.connect().document["daemon"]["pid"]

        assert laptop.run("--stop", "frontend").exit_code == 0
        started = laptop.connect()
        again = other.connect()
        assert again.document["daemon"]["pid"] == started.document["daemon"]["pid"]
        assert again.request("GET", "/session")[0] == http.client.OK
