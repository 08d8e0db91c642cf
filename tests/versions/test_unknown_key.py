"""OpenCode up to 1.18.15 on one's own machine does not start beside an opencode.json with environments."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.terminal import Terminal
from tests.versions.conftest import MakeLaptop

TEAM = {"environments": {"shop": {"transport": "local"}}}
BELOW = {"experimental": TEAM}
TUI_SECONDS = 60


def define(laptop: Laptop, content: object) -> Path:
    """A project on the laptop, and its user in it."""
    laptop.cwd = laptop.environment.laptop / "shop"
    laptop.cwd.mkdir()
    path = laptop.cwd / "opencode.json"
    path.write_text(json.dumps(content))
    return path


def starts(laptop: Laptop) -> bool:
    """Whether the real program here starts where its user stands."""
    program = laptop.environment.laptop.parent / "bin/opencode"
    ran = subprocess.run(
        [program, "debug", "config"], env=laptop.variables, cwd=laptop.cwd, capture_output=True, check=False
    )
    return ran.returncode == 0


@pytest.mark.parametrize("version", ["1.1.65", "1.17.0"])
def test_the_list_says_which_file_an_old_one_refuses_and_where_to_move_it(
    laptop_with: MakeLaptop, version: str
) -> None:
    laptop = laptop_with(client=version)
    path = define(laptop, TEAM)
    assert not starts(laptop)

    ran = laptop.run("--list")

    assert ran.exit_code == 0
    assert "shop" in ran.stdout
    assert f"OpenCode {version} on this machine does not start in {laptop.cwd}" in ran.stderr
    moved = path.parent / ".opencode/ocattach.json"
    assert f"Move it to {moved}" in ran.stderr.replace("\n", " ")

    moved.parent.mkdir()
    path.rename(moved)

    assert starts(laptop)
    assert "does not start" not in laptop.run("--list").stderr


def test_below_experimental_it_minds_nothing(laptop_with: MakeLaptop) -> None:
    laptop = laptop_with(client="1.17.0")
    define(laptop, BELOW)

    assert starts(laptop)
    assert "does not start" not in laptop.run("--list").stderr


def test_a_current_one_minds_nothing(laptop_with: MakeLaptop) -> None:
    laptop = laptop_with()
    define(laptop, TEAM)

    assert starts(laptop)
    assert "does not start" not in laptop.run("--list").stderr


def test_who_connects_is_told_of_it_before_anything_covers_the_screen(
    laptop_with: MakeLaptop, workdir: Path
) -> None:
    laptop = laptop_with(client="1.1.65")
    assert laptop.run("frontend", "--print-url").exit_code == 0  # the current daemon, which all names share
    define(laptop, TEAM)

    with Terminal(
        [
            *OCATTACH,
            "shop",
            "--trust",
            "--no-start",
            "--fork",
        ],  # which 1.1.65 lacks: it ends before it shows anything
        directory=workdir,
        environment=laptop.variables,
        cwd=laptop.cwd,
    ) as opened:
        exit_code = opened.wait_for_exit(timeout=TUI_SECONDS)
        screen = " ".join(opened.screen(history=True).split())

    assert exit_code == 7, screen
    assert f"does not start in {laptop.cwd}" in screen
