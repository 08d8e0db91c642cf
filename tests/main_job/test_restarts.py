"""What a link does when the daemon of this machine ends or the link itself was stopped; one machine for all tests."""

import http.client
import socket
import subprocess
import sys
import threading

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Daemon, Laptop
from tests.main_job.test_reconnecting import HEALTH, end_daemon, serving, status
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.parametrize("shared_environment", ["local"], indirect=True)


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: each test has a laptop with a link, and finds a daemon or starts it."""
    return shared_environment


def test_a_daemon_that_does_not_live_is_given_up_with_the_end_of_its_log(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    daemon.request("GET", HEALTH)
    for _ in range(2):
        end_daemon(environment, laptop)
        assert daemon.request("GET", HEALTH)[0] == http.client.OK
    end_daemon(environment, laptop)

    code, answer = daemon.request("GET", HEALTH)
    link = status(laptop)

    assert code == http.client.SERVICE_UNAVAILABLE
    assert "exited 3 times within 30 s of its start. Its log ends:" in answer["data"]["message"]
    assert "opencode server listening" in answer["data"]["message"]
    assert link["state"] == "stopped"
    assert not serving(environment)
    assert laptop.connect().document["daemon"]["started"]
    assert daemon.request("GET", HEALTH)[0] == http.client.OK


def test_whoever_connects_next_is_told_that_the_daemon_was_started_again(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    daemon.request("GET", HEALTH)
    end_daemon(environment, laptop)
    daemon.request("GET", HEALTH)

    told, not_twice = (laptop.run("frontend", "--print-url", "-v").stderr for _ in range(2))
    log = laptop.run("logs", "frontend").stdout

    assert "! The connection was lost and restored: This machine; the daemon had exited" in told
    assert "! The connection was lost" not in not_twice
    for event in ("lost: Nothing listens on port", "restored after", "held requests: 1"):
        assert event in told
        assert event in log


def test_disconnecting_does_not_wait_for_a_connection_to_come_back(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    daemon.request("GET", HEALTH)
    end_daemon(environment, laptop)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(refused(daemon)))
    waiting.start()
    wait_until(lambda: status(laptop)["held"] == 1 or answers, "the request to be held")

    assert laptop.run("--disconnect", "frontend").exit_code == 0

    waiting.join(30)
    wait_until(lambda: not laptop.links(), "the link to end")
    assert answers


def refused(daemon: Daemon) -> int:
    """The status of a request, 0 where the connection was ended instead."""
    try:
        return daemon.request("GET", HEALTH)[0]
    except (OSError, http.client.HTTPException):
        return 0


def test_a_stopped_link_looks_at_its_connection_as_soon_as_it_goes_on(laptop: Laptop) -> None:
    laptop.connect()
    (link,) = laptop.links()
    link.suspend()
    threading.Event().wait(4)
    link.resume()

    wait_until(lambda: "the clock has jumped" in laptop.run("logs", "frontend").stdout, "the link to notice")


OTHER_VERSION = """\
import os, sys
from ocattach.link import messages
messages.PROTOCOL = 99
from ocattach.link.server import process
process.REQUEST_SECONDS = 60
sys.exit(process.run(sys.argv[1], os.environ))
"""


def test_a_link_of_another_version_is_replaced_and_until_then_left_alone(
    environment: Environment, laptop: Laptop
) -> None:
    key = environment.spec().pinned(laptop.variables).link_key(laptop.variables)
    (laptop.state / "links").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_VERSION, key],
        env=laptop.variables,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        with socket.socket(socket.AF_UNIX) as visitor:  # a link without an environment lives by its visitors
            visitor.connect(str(laptop.runtime / f"{key}.sock"))
            looked = status(laptop)
            alive = other.poll()

            daemon = laptop.connect()

            assert other.wait(10) == 0
    assert looked is None
    assert alive is None
    assert daemon.request("GET", HEALTH)[0] == http.client.OK
