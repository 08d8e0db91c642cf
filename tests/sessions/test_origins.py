"""The scene of the request: sessions in staging, frontend, api and on this machine, in one list."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.environments.environment import programs
from tests.main_job.laptop import Daemon
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.machine import WORKDIR, Machine
from tests.rigs.ssh import SSHMachines
from tests.sessions.catalogue import make
from tests.survey.desk import Desk
from tests.survey.test_states import container

TITLES = {
    "staging": "Fix API rate limiting",
    "frontend": "Refactor auth components",
    "api": "Debug payment webhook",
    "local": "Update README",
}


@dataclass
class Office:
    """A desk with four environments, in each of which a session was made."""

    desk: Desk
    staging: Machine
    sessions: dict[str, str]

    def listed(self, *arguments: str) -> dict[str, Any]:
        """The JSON document of a list."""
        ran = self.desk.run("session", "list", "-o", "json", *arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        document: dict[str, Any] = json.loads(ran.stdout)
        return document


@pytest.fixture(scope="module")
def office(docker_engine: DockerEngine, ssh_machines: SSHMachines) -> Iterator[Office]:
    machine = ssh_machines["main"]
    machine.reset()
    with (
        short_directory() as home,
        docker_engine.container("frontend-app"),
        docker_engine.container("backend-api"),
    ):
        desk = Desk(home, ssh_machines.bin, programs(home))
        desk.save("frontend", {**container(docker_engine, "frontend-app"), "workdir": "/work"})
        desk.save("api", {**container(docker_engine, "backend-api"), "workdir": "/work"})
        desk.save("staging", {"transport": "ssh", "host": "main", "workdir": WORKDIR})

        def begin(name: str) -> str:
            target = "local://" if name == "local" else name
            ran = desk.run(target, "--print-url", "-o", "json")
            assert ran.returncode == 0, ran.stdout + ran.stderr
            document = json.loads(ran.stdout)
            return make(Daemon(document), document["workdir"], title=TITLES[name])

        try:
            with ThreadPoolExecutor() as side_by_side:
                sessions = dict(zip(TITLES, side_by_side.map(begin, TITLES), strict=True))
            yield Office(desk, machine, sessions)
        finally:
            desk.run("--disconnect", "--all")


def test_four_origins_are_one_list_and_each_alone_is_its_own(office: Office) -> None:
    whole = office.listed()
    assert {s["origin"]: (s["id"], s["title"]) for s in whole["sessions"]} == {
        origin: (session, TITLES[origin]) for origin, session in office.sessions.items()
    }
    stamps = [session["updated"] for session in whole["sessions"]]
    assert stamps == sorted(stamps, reverse=True)
    alone = office.listed("--origin", "staging")
    assert [session["id"] for session in alone["sessions"]] == [office.sessions["staging"]]
    assert [each["names"] for each in alone["environments"] if each["state"]] == [["staging"]]
    two = office.listed("--origin", "api", "--origin", "local", "--search", "readme")
    assert [session["origin"] for session in two["sessions"]] == ["local"]
    assert len(office.listed("--since", "1h")["sessions"]) == len(TITLES)
    assert len(office.listed("--since", "1h", "--offline")["sessions"]) == len(TITLES)


def test_a_person_sees_the_table_of_the_request(office: Office) -> None:
    with office.desk.terminal("session", "list", "--timeout", "30") as terminal:
        assert terminal.wait_for_exit() == 0
        screen = terminal.screen()
    head, *rows = [line for line in screen.splitlines() if line.strip()]
    assert head.split()[:5] == ["ID", "State", "Origin", "Title", "Updated"]
    for origin, session in office.sessions.items():
        assert any(
            re.match(rf"{session} +\w+ +{origin} +{TITLES[origin]} +(now|\d+ min ago)", row) for row in rows
        ), screen


def test_what_a_host_had_is_listed_with_its_age_once_nobody_reaches_it(office: Office) -> None:
    office.listed()
    office.desk.run("--disconnect", "staging")
    office.staging.cable.pull()
    try:
        alone = office.listed("--origin", "staging", "--timeout", "3")
        ran = office.desk.run("session", "list", "--timeout", "3")
        status = office.desk.ask("staging", timeout=3).states["staging"]
    finally:
        office.staging.cable.plug()

    (session,) = alone["sessions"]
    assert (session["id"], session["live"]) == (office.sessions["staging"], False)
    assert 0 < session["asked"] < alone["environments"][0]["asked"] + 1
    assert alone["environments"][0]["state"] == "unreachable"
    assert ran.returncode == 0
    assert all(session in ran.stdout for session in office.sessions.values())
    assert "Known" in ran.stdout.splitlines()[0]
    assert "staging is unreachable, sessions as of" in ran.stderr
    assert (status["state"], status["sessions"]["count"]) == ("unreachable", 1)
