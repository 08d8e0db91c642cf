"""OpenCode 2, by a fake made from its published source: see tests/rigs/opencode2.py."""

import subprocess
from pathlib import Path

import pytest

from tests.main_job.laptop import OCATTACH
from tests.rigs import opencode2
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until
from tests.versions.conftest import MakeLaptop


@pytest.mark.parametrize("path", ["/api/info", "/api/health"])
def test_its_daemon_is_recognised_wherever_it_tells_its_version(
    laptop_with: MakeLaptop, workdir: Path, path: str
) -> None:
    laptop = laptop_with(daemon=opencode2.install(workdir / "two", info=path))

    assert laptop.connect().document["version"] == "2.0.24"


def test_its_tui_is_started_as_it_wants_to_be(laptop_with: MakeLaptop, workdir: Path) -> None:
    program = opencode2.install(workdir / "two")
    laptop = laptop_with(client=program, daemon=program)
    with Terminal(
        [*OCATTACH, "frontend"], directory=workdir, environment=laptop.variables, cwd=laptop.cwd
    ) as opened:
        opened.wait_for(f"fake TUI on OpenCode 2.0.24 in {laptop.environment.workdir}")
        opened.send_keys("Enter")

        assert opened.wait_for_exit() == 0


def test_its_service_is_found_with_the_password_that_it_keeps(laptop_with: MakeLaptop, workdir: Path) -> None:
    program = opencode2.install(workdir / "two")
    laptop = laptop_with(daemon=program)
    service = subprocess.Popen([program, "serve", "--service"], env=laptop.variables, stdout=subprocess.PIPE)
    with service:
        assert service.stdout is not None
        service.stdout.readline()
        daemon = laptop.connect("frontend", "--no-start")

        assert daemon.document["version"] == "2.0.24"
        assert daemon.document["daemon"]["pid"] == service.pid
        assert daemon.request("GET", "/api/info") == (200, {"version": "2.0.24"})
        laptop.run("--stop", "frontend", "--force")
        wait_until(lambda: service.poll() is not None, "the service to end")


def test_what_its_sessions_wait_for_is_listed_and_answered(laptop_with: MakeLaptop, workdir: Path) -> None:
    laptop = laptop_with(daemon=opencode2.install(workdir / "two"))
    daemon = laptop.connect()
    waiting = laptop.run("session", "waiting", "frontend", "-o", "json").document
    (permission,), (form,) = waiting["permissions"], waiting["questions"]

    assert (permission["permission"], permission["patterns"], permission["always"]) == (
        "shell",
        ["make"],
        ["make *"],
    )
    assert (permission["session"]["id"], permission["session"]["title"]) == ("ses_two", "Two")
    assert [part["multiple"] for part in form["questions"]] == [False, True, False, False]
    assert laptop.run("session", "reply", permission["id"], "once").exit_code == 0
    for wrong in ("green", "blue S,M yes 3", "blue S yes three"):
        assert laptop.run("session", "answer", form["id"], *wrong.split()).exit_code == 2
    assert laptop.run("session", "answer", form["id"], "blue", "S,L", "yes", "3").exit_code == 0
    assert daemon.request("GET", "/answers")[1] == [
        ["per_two", {"decision": "once"}],
        ["frm_two", {"answer": {"q0": "b", "q1": ["s", "l"], "q2": True, "q3": 3}}],
    ]
    assert laptop.run("session", "waiting", "frontend", "-o", "json").document["questions"] == []


@pytest.mark.parametrize("here", [1, 2])
def test_the_two_kinds_are_not_put_together(laptop_with: MakeLaptop, workdir: Path, here: int) -> None:
    second = opencode2.install(workdir / "two")
    laptop = laptop_with(client=second) if here == 2 else laptop_with(daemon=second)
    with Terminal(
        [*OCATTACH, "frontend"], directory=workdir, environment=laptop.variables, cwd=laptop.cwd
    ) as opened:
        assert opened.wait_for_exit(timeout=60) == 7
        screen = opened.screen()

    assert "OpenCode 2.0.24" in screen
    assert "OpenCode 1.18.33" in screen
    assert "fake TUI" not in screen


def test_what_its_tui_lacks_is_said(laptop_with: MakeLaptop, workdir: Path) -> None:
    program = opencode2.install(workdir / "two")
    laptop = laptop_with(client=program, daemon=program)
    with Terminal(
        [*OCATTACH, "frontend", "--continue", "--fork"],
        directory=workdir,
        environment=laptop.variables,
        cwd=laptop.cwd,
    ) as opened:
        assert opened.wait_for_exit(timeout=60) == 7
        assert "does not support --fork" in opened.screen()
