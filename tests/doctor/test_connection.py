"""The ladder of a connection: every rung on every way in, and what each failure says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop, Ran
from tests.rigs.docker import DockerEngine
from tests.rigs.processes import command_lines
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

on_docker = pytest.mark.parametrize("environment", ["docker"], indirect=True)
on_ssh = pytest.mark.parametrize("environment", ["ssh"], indirect=True)
on_local = pytest.mark.parametrize("environment", ["local"], indirect=True)

PROMISED = [
    "configuration", "environment", "authentication", "shell", "opencode", "daemon", "health", "sessions",
    "events", "round trip",
]  # fmt: skip
"""The rungs that the command line's contract names, in its order."""


def rungs(ran: Ran) -> dict[str, dict[str, Any]]:
    """The rungs of a ladder by their names."""
    return {rung["rung"]: rung for rung in ran.document["rungs"]}


def failed(ran: Ran) -> list[str]:
    return [name for name, rung in rungs(ran).items() if rung["status"] == "failed"]


def skipped(ran: Ran) -> list[str]:
    return [name for name, rung in rungs(ran).items() if rung["status"] == "skipped"]


@pytest.mark.parametrize("environment", ["http", "k8s", "ssh"], indirect=True)
def test_every_rung_holds_and_says_what_it_found_where_all_is_well(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    daemon.make_session()
    pids = [process.pid for process in environment.processes()]
    ran = laptop.run("doctor", "frontend", "-o", "json")

    assert ran.exit_code == 0, ran.stdout
    found = rungs(ran)
    assert {rung["status"] for rung in found.values()} == {"ok"}, ran.stdout
    expected = (
        PROMISED if environment.starts_daemons else [n for n in PROMISED if n not in {"shell", "opencode"}]
    )
    assert expected == [name for name in found if name in PROMISED]
    assert daemon.document["version"] in found["health"]["found"]
    assert found["sessions"]["found"].startswith("1 session ")
    assert environment.workdir in found["sessions"]["found"]
    assert found["events"]["found"] == "server.connected"
    assert str(daemon.document["daemon"]["port"]) in found["daemon"]["found"]
    assert daemon.document["password"] not in ran.stdout + ran.stderr
    assert ran.document["error"] is None
    wait_until(
        lambda: pids == [process.pid for process in environment.processes()],
        "what the doctor ran there to end",
    )


@pytest.mark.one_of_each
def test_no_daemon_is_started_and_the_command_that_does_is_named(
    environment: Environment, laptop: Laptop
) -> None:
    ran = laptop.run("doctor", "frontend", "-o", "json")

    assert ran.exit_code == 6
    assert failed(ran) == ["daemon"]
    assert skipped(ran) == ["route", "health", "sessions", "events", "round trip"]
    assert ran.document["error"]["code"] == "daemon-not-running"
    assert "ocattach frontend" in ran.document["error"]["hint"]
    environment.wait_until_nothing_runs()
    assert not laptop.links()


@on_docker
def test_a_stopped_container_stops_the_ladder_at_the_environment(
    docker_engine: DockerEngine, laptop: Laptop
) -> None:
    docker_engine.client.containers.get("frontend-app").stop(timeout=0)
    ran = laptop.run("doctor", "frontend", "-o", "json")

    assert ran.exit_code == 6
    assert failed(ran) == ["environment"]
    assert set(PROMISED) - {"configuration", "environment"} == set(skipped(ran)) - {"route"}
    assert "docker start frontend-app" in rungs(ran)["environment"]["error"]["hint"]


@on_docker
def test_an_engine_that_is_down_is_told_with_what_to_try(laptop: Laptop, workdir: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{workdir}/none.sock"}
    ran = laptop.run("doctor", "frontend", "-o", "json", variables=nowhere)

    assert ran.exit_code == 6
    assert failed(ran) == ["environment"]
    assert "docker info" in ran.document["error"]["hint"]


@on_docker
def test_an_environment_without_opencode_is_told_by_that_rung(
    docker_engine: DockerEngine, laptop: Laptop
) -> None:
    with docker_engine.container("bare-app", variant="bare"):
        ran = laptop.run("doctor", "docker://bare-app", "-o", "json")

    assert ran.exit_code == 7
    assert failed(ran) == ["opencode"]
    assert "npm install" in ran.document["error"]["hint"]
    assert rungs(ran)["daemon"]["found"] == "skipped, because opencode failed"


@on_local
def test_a_directory_that_is_not_there_is_told_by_its_rung(laptop: Laptop) -> None:
    laptop.save(workdir="/no/such/directory")
    ran = laptop.run("doctor", "frontend", "-o", "json")

    assert ran.exit_code == 1
    assert failed(ran) == ["directory"]
    assert "--workdir" in ran.document["error"]["hint"]


@on_local
def test_a_configuration_that_opencode_rejects_shows_in_the_session_request(
    environment: Environment, laptop: Laptop
) -> None:
    laptop.connect()
    (Path(environment.workdir) / "opencode.json").write_text('{"model": 5}')
    (Path(environment.workdir) / "sub").mkdir()
    laptop.save(workdir=f"{environment.workdir}/sub")
    ran = laptop.run("doctor", "frontend", "-o", "json")

    assert ran.exit_code == 1
    assert failed(ran)[0] == "sessions"
    assert rungs(ran)["health"]["status"] == "ok"
    assert ran.document["error"]["code"] == "environment-config"
    assert "opencode.json" in ran.document["error"]["message"]


@on_local
def test_the_program_that_shows_the_tui_is_looked_for_whatever_the_rest(laptop: Laptop) -> None:
    ran = laptop.run("doctor", "nothing", "-o", "json")

    assert ran.exit_code == 3
    assert failed(ran) == ["configuration"]
    assert rungs(ran)["tui"]["status"] == "ok"
    assert ran.document["error"]["code"] == "no-such-connection"


@on_ssh
def test_a_host_that_refuses_the_key_was_reached_and_is_told_as_that(
    ssh_machines: SSHMachines, laptop: Laptop, workdir: Path
) -> None:
    shim = ssh_machines.client_bin(workdir / "bin", identity=ssh_machines.stranger_identity)
    path = {"PATH": f"{shim}:{laptop.variables['PATH']}"}
    ran = laptop.run("doctor", "frontend", "-o", "json", variables=path)

    assert ran.exit_code == 4
    assert rungs(ran)["environment"]["found"] == "reached"
    assert failed(ran) == ["authentication"]
    assert ran.document["error"]["hint"].startswith("Try: ssh ")


@on_ssh
@pytest.mark.parametrize("setting", ["ask", "accept-new", "no"])
def test_the_key_of_a_host_that_was_never_met_is_neither_asked_about_nor_written_down(
    ssh_machines: SSHMachines, laptop: Laptop, workdir: Path, setting: str
) -> None:
    empty = workdir / "known_hosts"
    empty.touch()
    shim = ssh_machines.client_bin(
        workdir / "bin", known_hosts=empty, settings=f"StrictHostKeyChecking {setting}"
    )
    path = {"PATH": f"{shim}:{laptop.variables['PATH']}"}
    ran = laptop.run("doctor", "frontend", "-o", "json", variables=path)

    assert rungs(ran)["authentication"]["status"] == ("failed" if setting == "ask" else "ok")
    assert ran.exit_code == (4 if setting == "ask" else 6)
    assert not empty.read_text()


@pytest.fixture
def project(environment: Environment, laptop: Laptop) -> Iterator[Path]:
    """A definition in a project that nobody has approved."""
    file = laptop.cwd / ".opencode/ocattach.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"environments": {"team": {**environment.entry, "description": "ours"}}}))
    yield file
    file.unlink()


@on_docker
@pytest.mark.usefixtures("project")
def test_what_nobody_has_approved_is_not_looked_at(environment: Environment, laptop: Laptop) -> None:
    before = environment.connections()
    ran = laptop.run("doctor", "team", "-o", "json")

    assert ran.exit_code == 5
    assert failed(ran) == ["configuration"]
    assert "ocattach trust team" in ran.document["error"]["hint"]
    assert before == environment.connections()


@on_local
def test_people_read_marks_times_and_the_next_step(laptop: Laptop) -> None:
    ran = laptop.run("doctor", "frontend")

    assert ran.exit_code == 6
    lines = ran.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("✗")] == [["✗", "daemon"]]
    assert any(line.split()[:1] == ["→"] and line.endswith("ocattach frontend") for line in lines)
    assert all(" ms " in line for line in lines if line.startswith(("✓ shell", "✓ opencode")))
    (not_checked,) = [line.split(maxsplit=3)[3] for line in lines if line.startswith("-")]
    assert not_checked == "route, health, sessions, events, round trip: skipped, because daemon failed"
    assert "\x1b" not in ran.stdout


@on_local
def test_the_doctor_leaves_no_process_behind(environment: Environment, laptop: Laptop) -> None:
    laptop.connect()
    before = {pid for pid, _ in command_lines()}
    laptop.run("doctor", "frontend")
    home = str(environment.home)

    def others() -> list[tuple[str, ...]]:
        return [argv for pid, argv in command_lines() if pid not in before and home in " ".join(argv)]

    wait_until(lambda: not others(), "what it started to end")
