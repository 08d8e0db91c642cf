"""A connection that is lost comes back by itself, on the same URL; faults of every kind are in tests/faults."""

import http.client
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.environments import Environment
from tests.main_job.laptop import Daemon, Laptop
from tests.rigs.machine import Machine
from tests.rigs.processes import processes_in
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

HEALTH = "/global/health"


def serving(environment: Environment) -> list[psutil.Process]:
    """The daemons in the environment."""
    found = []
    for process in environment.processes():
        try:
            if "serve" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def end_daemon(environment: Environment, laptop: Laptop) -> None:
    """Kill the daemon, and return when its port is closed, which comes a while later."""
    port = laptop.connect().document["daemon"]["port"]
    for process in serving(environment):
        process.kill()
    wait_until(lambda: not listens(environment, port), "the daemon's port to close")


def listens(environment: Environment, port: int) -> bool:
    try:
        environment.network.dial(port).close()
    except OSError:
        return False
    return True


def end_sessions(machine: Machine) -> None:
    """Kill what sshd has started for those who are logged in."""
    namespace = str(Path(f"/proc/{machine.confined.pid}/ns/pid").readlink())
    sessions = [
        process
        for process in processes_in(namespace)
        if process.name() == "sshd" and "@" in " ".join(process.cmdline())
    ]
    assert sessions
    for process in sessions:
        process.kill()


def status(laptop: Laptop) -> Any:
    """What `--status` says of the one link."""
    ran = laptop.run("--status", "frontend", "-o", "json")
    return ran.document["environments"][0]["link"]


@pytest.mark.parametrize("environment", ["k8s", "podman-rootless"], indirect=True)
def test_requests_while_the_daemon_is_gone_are_answered_by_the_next_one(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    assert daemon.request("GET", HEALTH)[0] == http.client.OK
    end_daemon(environment, laptop)

    answered, session = daemon.request("POST", "/session", {"title": "typed meanwhile"})
    assert answered == http.client.OK, session
    again = laptop.connect()

    assert (answered, session["title"]) == (http.client.OK, "typed meanwhile")
    assert (again.document["url"], again.document["password"]) == (
        daemon.document["url"],
        daemon.document["password"],
    )
    assert not again.document["daemon"]["started"]


@pytest.mark.parametrize("environment", ["ssh"], indirect=True)
def test_another_link_finds_the_daemon_that_took_the_place_of_one_and_keeps_its_own_password(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    end_daemon(environment, laptop)
    laptop.run("--disconnect", "frontend")

    again = laptop.connect()
    assert again.document["password"] == daemon.document["password"]
    assert daemon.document["daemon"]["pid"] != again.document["daemon"]["pid"]
    assert again.request("GET", HEALTH)[0] == http.client.OK


@pytest.mark.parametrize("environment", ["local"], indirect=True)
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


@pytest.mark.parametrize("environment", ["ssh"], indirect=True)
def test_a_request_that_waits_for_too_long_is_refused_with_the_reason(
    laptop: Laptop, ssh_machines: SSHMachines
) -> None:
    (laptop.config / "config.yaml").write_text("hold_seconds: 1\n")
    daemon = laptop.connect()
    daemon.request("GET", HEALTH)
    machine = ssh_machines["main"]
    machine.sshd.kill()
    end_sessions(machine)
    try:
        code, answer = daemon.request("POST", "/session", {})
    finally:
        machine.sshd.start()
        ssh_machines.wait_until_ready("main")

    assert code == http.client.SERVICE_UNAVAILABLE
    assert "Not sent: cannot reach the environment for 1 s: " in answer["data"]["message"]
    wait_until(lambda: daemon.request("POST", "/session", {})[0] == http.client.OK, "a request to be served")


@pytest.mark.parametrize("environment", ["local"], indirect=True)
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


@pytest.mark.parametrize("environment", ["ssh-password"], indirect=True)
def test_a_connection_that_needs_a_password_again_waits_for_a_person(
    laptop: Laptop, ssh_machines: SSHMachines
) -> None:
    daemon = laptop.connect()
    daemon.request("GET", HEALTH)
    end_sessions(ssh_machines["passwd"])

    code, answer = daemon.request("GET", HEALTH)
    link = status(laptop)
    told = laptop.run("frontend", "--print-url")

    assert code == http.client.SERVICE_UNAVAILABLE
    assert "Run ocattach again to connect" in answer["data"]["message"]
    assert link["state"] == "locked"
    assert "password" in link["reason"]
    assert "! Stopped trying to reconnect: Reconnecting needs an answer" in told.stderr
    assert told.stdout.strip() == daemon.document["url"]
    assert daemon.request("GET", HEALTH)[0] == http.client.OK
    assert status(laptop)["state"] == "connected"


@pytest.mark.parametrize("environment", ["local"], indirect=True)
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


@pytest.mark.parametrize("environment", ["local"], indirect=True)
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


@pytest.mark.parametrize("environment", ["local"], indirect=True)
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
