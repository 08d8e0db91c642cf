"""The life of a daemon as `--status` tells it, for every way in: asked, never started."""

import contextlib
import json
from typing import Any

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Daemon, Laptop
from tests.rigs.waiting import wait_until


def told(laptop: Laptop) -> dict[str, Any]:
    """What is said of the one connection, by a program without a terminal."""
    with laptop.start("--status", "frontend", "--timeout", "30", "-o", "json") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert stderr == ""
    (environment,) = json.loads(stdout)["environments"]
    assert isinstance(environment, dict)
    return environment


def stands(laptop: Laptop, state: str) -> bool:
    """Whether that is what is said of the one connection."""
    return bool(told(laptop)["state"] == state)


def needs_person(environment: Environment) -> bool:
    """Whether nobody gets in without a person."""
    return bool(environment.answers)


def work_slowly(daemon: Daemon) -> str:
    """Begin something that takes long."""
    session = daemon.make_session()
    body = {"parts": [{"type": "text", "text": "!slow 60"}]}
    daemon.request("POST", f"/session/{session}/prompt_async", body)
    return session


@pytest.mark.parametrize("environment", ["docker", "ssh-password"], indirect=True)
def test_a_daemon_is_told_from_none_and_none_is_started(environment: Environment, laptop: Laptop) -> None:
    before = told(laptop)
    assert before["state"] == ("locked" if needs_person(environment) else "stopped")
    assert before["reason"]
    assert not needs_person(environment) or before["hint"].endswith("ocattach frontend")
    environment.wait_until_nothing_runs()
    assert not laptop.links()

    daemon = laptop.connect()
    linked = told(laptop)
    assert (linked["state"], linked["through"]) == ("running", "link")
    assert linked["port"] == daemon.document["daemon"]["port"]
    assert linked["version"] == daemon.document["version"]
    assert linked["link"]["state"] == "connected"

    session = work_slowly(daemon)
    wait_until(lambda: stands(laptop, "busy"), "the session to be seen at work")
    daemon.request("POST", f"/session/{session}/abort")
    wait_until(lambda: stands(laptop, "running"), "the session to be seen at rest")

    laptop.run("--disconnect", "frontend")
    alone = told(laptop)
    assert alone["link"] is None
    if needs_person(environment):
        assert alone["state"] == "locked"
        assert alone["last_known"]["version"] == linked["version"]
    else:
        assert (alone["state"], alone["through"]) == ("running", "environment")
        assert (alone["port"], alone["version"]) == (linked["port"], linked["version"])
    assert not laptop.links()

    laptop.run("--stop", "frontend")
    environment.wait_until_nothing_runs()
    assert told(laptop)["state"] == before["state"]


@pytest.mark.parametrize("environment", ["http", "https-header"], indirect=True)
def test_a_daemon_at_a_url_is_asked_by_it(environment: Environment, laptop: Laptop) -> None:
    found = told(laptop)

    assert (found["state"], found["through"]) == ("running", "environment")
    assert found["version"]
    laptop.variables.pop("TEAM_PASSWORD")
    assert told(laptop)["state"] == "locked"
    assert environment.missing
    laptop.save("frontend", url=environment.missing["url"], password_env="HOME")
    assert told(laptop)["state"] == "stopped"


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_who_looks_through_a_link_does_not_keep_it_alive(environment: Environment, laptop: Laptop) -> None:
    (laptop.config / "config.yaml").write_text("link_idle_seconds: 6\n")
    laptop.connect()

    def has_ended() -> bool:
        with contextlib.suppress(AssertionError):
            assert told(laptop)["through"] == "environment"
        return not laptop.links()

    wait_until(has_ended, "the link to end although it is looked at", interval=0.5)
    assert environment.processes()
