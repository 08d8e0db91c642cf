"""Many environments at once: nobody is asked twice, and nobody is waited for past the deadline."""

import os
import re
import socket
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.opencode.snapshot import DaemonSnapshot
from ocattach.sessions.index import index_file
from ocattach.sessions.origins import Names
from ocattach.survey.journal import Journal
from tests.main_job.laptop import OCATTACH
from tests.rigs.availability import require
from tests.rigs.docker import DockerEngine
from tests.rigs.ssh import SSHMachines
from tests.survey.desk import Desk
from tests.survey.test_states import container, silent_host

CONTAINERS, DIRECTORIES, DEAD = 8, 10, 20
TIMEOUT = 5.0
MEMORY = 150 * 1024 * 1024


def test_names_that_differ_by_directory_alone_are_one_question(
    desk: Desk, docker_engine: DockerEngine
) -> None:
    with docker_engine.container("web", opencode=False):
        for number in range(10):
            desk.save(f"web-{number}", {**container(docker_engine, "web"), "workdir": f"/dir-{number}"})
        before = len(docker_engine.calls())
        states = desk.ask().states
        calls = Counter(docker_engine.calls()[before:])

    assert [each["state"] for each in states.values()] == ["stopped"] * 10
    assert sum(call.endswith("/containers/web/json") for call in calls.elements()) == 1
    assert sum(call.endswith("/containers/web/exec") for call in calls.elements()) == 1


def test_one_log_in_serves_all_connections_to_a_host(desk: Desk, ssh_machines: SSHMachines) -> None:
    machine = ssh_machines["main"]
    machine.reset()
    desk.variables["PATH"] = f"{ssh_machines.bin}:{desk.variables['PATH']}"
    entries: list[dict[str, Any]] = [
        {"port": 22},
        {"user": ssh_machines.user},
        {"daemon_port": 4100},
        {"opencode": "/opt/opencode"},
        {},
    ]
    for number, entry in enumerate(entries):
        desk.save(f"staging-{number}", {"transport": "ssh", "host": "main", **entry})
    before = machine.log_ins

    states = desk.ask().states

    assert [each["state"] for each in states.values()] == ["stopped"] * len(entries)
    assert machine.log_ins - before == 1


def test_a_dead_engine_is_dialled_once_for_all_its_containers(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        for number in range(10):
            entry = {"transport": "docker", "container": f"c-{number}", "host": f"tcp://127.0.0.1:{port}"}
            desk.save(f"c-{number}", entry)
        states = desk.ask(timeout=2).states
        dialled = 0
        while True:
            try:
                server.accept()[0].close()
            except BlockingIOError:
                break
            dialled += 1

    assert [each["state"] for each in states.values()] == ["unreachable"] * 10
    assert dialled == 1


def test_a_hundred_with_twenty_dead_ones_are_told_by_the_deadline(
    desk: Desk, docker_engine: DockerEngine, ssh_machines: SSHMachines
) -> None:
    desk.variables["PATH"] = f"{ssh_machines.bin}:{desk.variables['PATH']}"
    with ExitStack() as stack:
        for number in range(CONTAINERS):
            stack.enter_context(docker_engine.container(f"app-{number}", opencode=False))
            for directory in range(DIRECTORIES):
                entry = {**container(docker_engine, f"app-{number}"), "workdir": f"/dir-{directory}"}
                desk.save(f"app-{number}-{directory}", entry)
        for number in range(DEAD):
            port = stack.enter_context(silent_host())
            desk.save(f"dead-{number}", {"transport": "ssh", "host": "127.0.0.1", "port": port})
        asked = desk.ask(timeout=TIMEOUT)

    states = Counter(each["state"] for each in asked.states.values())
    assert states == {"stopped": CONTAINERS * DIRECTORIES, "unreachable": DEAD}
    assert asked.document["took"] <= TIMEOUT + 0.5
    assert asked.peak_memory < MEMORY


def test_environments_that_tell_nothing_new_do_not_open_the_index(desk: Desk) -> None:
    def openings(log: Path) -> int:
        argv = ["strace", "-f", "-e", "trace=openat", "-o", str(log), *OCATTACH, "--status", "-o", "json"]
        with require("strace"):
            subprocess.run(argv, env=desk.variables, cwd=desk.home, check=True, capture_output=True)
        return len(re.findall(rf'"{index_file(desk.state)}"', log.read_text()))

    counts = []
    for number in range(DEAD):
        desk.save(f"dead-{number}", {"transport": "http", "url": f"http://127.0.0.1:9/{number}"})
        if number in {0, DEAD - 1}:
            counts.append(openings(desk.home / "log"))

    assert counts[0] == counts[1] > 0


def test_an_index_that_another_process_keeps_locked_delays_all_environments_as_one(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocattach.survey.journal.TURN_SECONDS", 0.05)
    spec = ConnectionSpec.from_entry({"transport": "docker", "container": "web"})
    journal = Journal(Names([spec], {}), {"OCATTACH_STATE_DIR": str(workdir)})

    with journal.storing:  # as a thread has it that waits for the other process
        journal.store(spec, DaemonSnapshot("1.18.33", (), (), is_whole=True, began=1.0))

    (count,) = journal.sessions([(environment_id(spec, {}), "web")])
    assert count is not None


@pytest.mark.parametrize("odd", ["named pipe", "not an object", "variable"])
def test_an_odd_setting_of_docker_concerns_only_what_docker_is_needed_for(desk: Desk, odd: str) -> None:
    file = Path(desk.variables["HOME"], ".docker", "config.json")
    file.parent.mkdir()
    if odd == "named pipe":
        os.mkfifo(file)
    elif odd == "not an object":
        file.write_text("[1]")
    else:
        desk.variables["DOCKER_HOST"] = "ftp://x"
    desk.save("front", {"transport": "docker", "container": "web"})
    desk.save("gone", {"transport": "http", "url": "http://127.0.0.1:9"})

    states = desk.ask().states

    assert (states["front"]["state"], states["gone"]["state"]) == ("unavailable", "stopped")
    assert ("DOCKER_HOST" if odd == "variable" else str(file)) in str(states["front"])
