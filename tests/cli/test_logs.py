"""`logs` shows what the daemon there and the link here have written, and goes on through interruptions."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.transports import open_handler
from tests.environments import Environment
from tests.environments.environment import ask_nobody
from tests.main_job.conftest import laptop
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.availability import require
from tests.rigs.docker import DockerEngine
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until

__all__ = ["laptop"]

on_docker = pytest.mark.parametrize("environment", ["docker"], indirect=True)
on_local = pytest.mark.parametrize("environment", ["local"], indirect=True)
on_http = pytest.mark.parametrize("environment", ["http"], indirect=True)
LISTENING = "opencode server listening on http://127.0.0.1"


@pytest.fixture
def following(laptop: Laptop, workdir: Path) -> Iterator[Terminal]:
    """`ocattach logs frontend -f` on a terminal, once a daemon runs."""
    laptop.connect()
    command = [*OCATTACH, "logs", "frontend", "-f"]
    with (
        require("tmux"),
        Terminal(
            command, directory=workdir, environment=laptop.variables, cwd=laptop.cwd, width=300
        ) as terminal,
    ):
        terminal.wait_for(re.compile(r"^link +\| .*connected: through", re.MULTILINE))
        yield terminal


@pytest.mark.parametrize("environment", ["docker", "ssh"], indirect=True)
def test_each_line_has_its_source_and_each_file_is_named(environment: Environment, laptop: Laptop) -> None:
    laptop.connect()
    ran = laptop.run("logs", "frontend")

    assert ran.exit_code == 0
    sources = {line.partition("|")[0].strip() for line in ran.stdout.splitlines()}
    assert sources == {"daemon", "opencode", "link"}
    assert LISTENING in ran.stdout
    assert "/.local/share/opencode/log/opencode.log" in ran.stderr
    log = environment.home / ".local/share/opencode/log/opencode.log"
    shown = [line.partition("| ")[2] for line in ran.stdout.splitlines() if line.startswith("opencode ")]
    assert shown
    assert all(line[:900] in log.read_text() for line in shown)


@on_local
def test_so_many_lines_as_are_wanted_also_more_than_come_at_once(
    environment: Environment, laptop: Laptop
) -> None:
    laptop.connect()
    log = environment.home / ".local/share/opencode/log/opencode.log"
    with log.open("a") as file:
        file.writelines(f"line {number} {'é' * 600}\n" for number in range(1000))
    found = laptop.run("logs", "frontend", "-n", "350", "-o", "json").document["opencode"]
    none = laptop.run("logs", "frontend", "-n", "0", "-o", "json").document["opencode"]

    assert found["file"] == str(log)
    assert [line.split()[1] for line in found["lines"] if line.startswith("line")][-2:] == ["998", "999"]
    assert len(found["lines"]) == 350
    assert none["lines"] == []


@on_docker
def test_a_stopped_environment_leaves_the_links_log_and_the_reason(
    docker_engine: DockerEngine, laptop: Laptop
) -> None:
    laptop.connect()
    docker_engine.client.containers.get("frontend-app").stop(timeout=0)
    people = laptop.run("logs", "frontend")
    scripts = laptop.run("logs", "frontend", "-o", "json")

    assert people.exit_code == scripts.exit_code == 6
    assert "connected: through relay" in people.stdout
    assert "docker start frontend-app" in people.stderr
    assert scripts.document["error"]["code"] == "not-running"
    assert scripts.document["daemon"] is None
    assert any("connected: through relay" in line for line in scripts.document["link"]["lines"])


@on_local
def test_where_nothing_has_run_yet_the_next_step_is_named(laptop: Laptop) -> None:
    ran = laptop.run("logs", "frontend")

    assert ran.exit_code == 1
    assert "ocattach frontend" in ran.stderr


@on_http
@pytest.mark.every_way_in
def test_where_no_command_can_be_run_the_place_to_look_is_named(laptop: Laptop) -> None:
    ran = laptop.run("logs", "frontend", "-o", "json")

    assert ran.exit_code == 1
    assert ".local/share/opencode/log" in ran.document["error"]["hint"]


@on_local
def test_what_the_log_says_cannot_drive_the_terminal(environment: Environment, laptop: Laptop) -> None:
    laptop.connect()
    log = environment.home / ".local/share/opencode/log/opencode.log"
    with log.open("a") as file:
        file.write("\x1b]0;title\x07 and \x1b[2J\n")
    ran = laptop.run("logs", "frontend")

    assert "\x1b" not in ran.stdout
    assert "\\x1b" in ran.stdout


@on_local
def test_following_has_no_document(laptop: Laptop) -> None:
    assert laptop.run("logs", "frontend", "-f", "-o", "json").document["error"]["code"] == "usage"


@on_docker
def test_following_goes_on_after_the_environment_was_away(
    docker_engine: DockerEngine, laptop: Laptop, following: Terminal
) -> None:
    container = docker_engine.client.containers.get("frontend-app")
    container.stop(timeout=0)
    following.wait_for("not reachable", timeout=30)
    following.wait_for(re.compile(r"^link +\| .* lost: ", re.MULTILINE))
    container.start()
    laptop.connect()

    def seen() -> bool:
        return following.screen(history=True).count(f"| {LISTENING}") == 2

    wait_until(seen, "the log of the next daemon", timeout=40)


@on_local
def test_a_log_that_was_begun_anew_is_read_from_its_beginning(
    environment: Environment, laptop: Laptop
) -> None:
    laptop.connect()
    spec = environment.spec().pinned(laptop.variables)
    with open_handler(spec, ask=ask_nobody, timeout=30) as handler:
        read = handler.read_logs(10)
        again = handler.read_logs(10, after=read)
        laptop.run("--stop", "frontend")
        laptop.connect()
        anew = handler.read_logs(10, after=again)

    assert [line.partition(" at ")[0] for line in read.lines["daemon"]][:1] == ["ocattach: started"]
    assert again.lines["daemon"] == ()
    assert len(anew.lines["daemon"]) == len(read.lines["daemon"])
    assert anew.lines["daemon"][0] != read.lines["daemon"][0]


@on_docker
def test_an_interruption_ends_it_without_a_word(following: Terminal) -> None:
    following.send_keys("C-c")

    assert following.wait_for_exit() == 130
    assert "Traceback" not in following.screen(history=True)
