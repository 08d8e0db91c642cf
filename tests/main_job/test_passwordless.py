"""A daemon that was started without a password can be used, with a warning."""

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.directories import short_directory
from tests.rigs.odd_daemon import odd_daemon
from tests.rigs.waiting import wait_until
from tests.survey.desk import Desk

WARNING = "has no password: everyone who can connect to its port can use it"


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_the_warning_is_given_once_for_a_link(environment: Environment, laptop: Laptop) -> None:
    script = 'cd; "$1" serve --hostname 127.0.0.1 --port "$2" </dev/null >/dev/null 2>&1 &'
    with environment.network.listen(0) as free:
        port = free.getsockname()[1]
    with environment.handler() as handler:
        handler.run(["sh", "-c", script, "sh", str(handler.probe().opencode), str(port)], timeout=60)
        wait_until(lambda: handler.check_daemon_running().daemon, "the daemon to be found", interval=0.2)

    first, second = (laptop.run("frontend", "--print-url").stderr for _ in range(2))

    assert f"! The daemon on port {port} {WARNING}" in first
    assert WARNING not in second


def test_a_daemon_at_a_url_leads_to_the_warning_too() -> None:
    with short_directory() as home, odd_daemon() as daemon:
        desk = Desk(home)
        desk.save("far", {"transport": "http", "url": daemon.url})

        assert WARNING in desk.run("far", "--print-url").stderr
