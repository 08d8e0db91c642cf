"""A connection that is lost comes back by itself, on the same URL; faults of every kind are in tests/faults."""

import http.client
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
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


@pytest.mark.parametrize("environment", ["ssh-password"], indirect=True)
def test_a_login_outlasts_a_daemon_that_does_not_answer(environment: Environment, laptop: Laptop) -> None:
    laptop.connect()
    (daemon,) = serving(environment)
    daemon.suspend()
    try:
        with laptop.start("frontend", "--print-url", "--timeout", "2") as unattended:
            _, said = unattended.communicate(timeout=60)
    finally:
        daemon.resume()

    assert unattended.returncode == 8, said
    with laptop.start("frontend", "--print-url") as unattended:
        _, said = unattended.communicate(timeout=60)
    assert unattended.returncode == 0, said
    assert status(laptop)["state"] == "connected"
    assert "To stop both: ocattach --stop ssh://passwd" in laptop.run("--remove", "frontend").stderr


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
