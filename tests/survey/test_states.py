"""What is said of environments that nobody can work in, and of those about which nobody may be asked."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rigs.docker import DockerEngine
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until
from tests.survey.desk import Desk


@contextmanager
def silent_host() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def container(engine: DockerEngine, name: str) -> dict[str, str]:
    """The entry for a container."""
    return {"transport": "docker", "container": name, "host": engine.url}


def test_containers_that_cannot_be_worked_in_say_why(desk: Desk, docker_engine: DockerEngine) -> None:
    with (
        docker_engine.container("ended", opencode=False) as ended,
        docker_engine.container("paused", opencode=False) as paused,
        docker_engine.container("bare", opencode=False),
    ):
        ended.container.kill()
        ended.container.wait()
        paused.container.pause()
        for name in ("ended", "paused", "missing", "bare"):
            desk.save(name, container(docker_engine, name))
        states = desk.ask().states
        paused.container.unpause()

    assert {name: each["state"] for name, each in states.items()} == {
        "ended": "unavailable",
        "paused": "unavailable",
        "missing": "unavailable",
        "bare": "stopped",
    }
    assert "exited with code 137" in states["ended"]["reason"]
    assert states["ended"]["hint"] == "Try: docker start ended"
    assert "it is paused" in states["paused"]["reason"]
    assert states["missing"]["reason"].endswith("has no container missing"), "it is said once"
    assert all(each["port"] is None and each["link"] is None for each in states.values())


def test_a_host_with_an_unknown_or_another_key_is_locked_and_nothing_is_learnt(
    desk: Desk, ssh_machines: SSHMachines
) -> None:
    learnt = desk.home / "learnt"
    ask = f"StrictHostKeyChecking ask\nUserKnownHostsFile {learnt}\n"
    unknown = ssh_machines.client_bin(desk.home / "unknown", settings=ask)
    changed = ssh_machines.client_bin(desk.home / "changed", known_hosts=ssh_machines.changed_known_hosts)
    path = desk.variables["PATH"]
    desk.save("staging", {"transport": "ssh", "host": "main"})

    desk.variables["PATH"] = f"{unknown}:{path}"
    first = desk.ask().states["staging"]
    desk.variables["PATH"] = f"{changed}:{path}"
    second = desk.ask().states["staging"]

    assert first["state"] == second["state"] == "locked"
    assert "is not known yet" in first["reason"]
    assert "has changed" in second["reason"]
    assert not learnt.exists()


def test_a_definition_that_is_not_approved_is_not_dialled(desk: Desk, docker_engine: DockerEngine) -> None:
    entry = container(docker_engine, "www")
    (desk.home / "opencode.json").write_text(json.dumps({"environments": {"www": entry}}))
    calls = len(docker_engine.calls())

    state = desk.ask().states["www"]

    assert state["state"] == "untrusted"
    assert "opencode.json, which you have not approved" in state["reason"]
    assert state["through"] is None
    assert docker_engine.calls()[calls:] == []


def test_what_does_not_answer_is_given_up_at_the_deadline(desk: Desk, docker_engine: DockerEngine) -> None:
    with silent_host() as port, docker_engine.container("www", opencode=False):
        desk.save("www", container(docker_engine, "www"))
        desk.save("host", {"transport": "ssh", "host": "127.0.0.1", "port": port})
        desk.save("url", {"transport": "http", "url": f"http://127.0.0.1:{port}"})
        desk.save("engine", {"transport": "docker", "container": "www", "host": f"tcp://127.0.0.1:{port}"})
        asked = desk.ask(timeout=3)

    states = {name: each["state"] for name, each in asked.states.items()}
    assert states == {"www": "stopped", "host": "unreachable", "url": "unreachable", "engine": "unreachable"}
    assert asked.document["took"] <= 3.5


def test_a_host_behind_a_cut_cable_is_unreachable_with_what_was_known_of_it(
    desk: Desk, ssh_machines: SSHMachines
) -> None:
    machine = ssh_machines["main"]
    machine.reset()
    desk.variables["PATH"] = f"{ssh_machines.bin}:{desk.variables['PATH']}"
    desk.save("staging", {"transport": "ssh", "host": "main"})
    assert desk.ask().states["staging"]["state"] == "stopped"

    machine.cable.pull()
    try:
        state = desk.ask(timeout=3).states["staging"]
        line = wait_until(lambda: desk.run("--status", "--timeout", "3").stdout, "an answer")
    finally:
        machine.cable.plug()

    assert state["state"] == "unreachable"
    assert state["last_known"]["state"] == "stopped"
    assert re.search(r"\(last seen stopped, \d+ \w+ ago\)", line)


def test_a_damaged_connection_does_not_hide_the_others(desk: Desk) -> None:
    desk.save("here", {"transport": "local"})
    desk.save("broken", {"transport": "local", "wrokdir": "/"})

    asked = desk.ask()

    assert asked.states["here"]["state"] == "stopped"
    assert [problem["name"] for problem in asked.document["problems"]] == ["broken"]
