"""Bare `ocattach` on a terminal goes to the default, or lets one choose."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.main_job.conftest import laptop
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.availability import require
from tests.rigs.terminal import Terminal

__all__ = ["laptop"]

NAMES = ("alpha", "beta", "gamma", "queue")
HOUR = 3600


@pytest.fixture
def variables(workdir: Path) -> Mapping[str, str]:
    """A laptop with connections to an engine that is not there; beta was used last, gamma before."""
    saved = workdir / "config/connections"
    saved.mkdir(parents=True)
    for name in NAMES:
        entry = {"transport": "docker", "container": f"{name}-app", "description": f"the {name} of ours"}
        (saved / f"{name}.yaml").write_text(json.dumps(entry))
    used = workdir / "state/used"
    used.mkdir(parents=True)
    for age, name in enumerate(("beta", "gamma"), 1):
        (used / name).touch()
        now = (used / name).stat().st_mtime
        os.utime(used / name, (now - age * HOUR, now - age * HOUR))
    program = workdir / "bin/opencode"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 1.18.33\n")
    program.chmod(0o755)
    return {
        "HOME": str(workdir),
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "OCATTACH_CONFIG_DIR": str(workdir / "config"),
        "OCATTACH_STATE_DIR": str(workdir / "state"),
        "OCATTACH_RUNTIME_DIR": str(workdir / "run"),
        "DOCKER_HOST": f"unix://{workdir}/none.sock",
        "LANG": "C.UTF-8",
    }


Open = Callable[..., Terminal]


@pytest.fixture
def bare(variables: Mapping[str, str], workdir: Path) -> Iterator[Open]:
    """`ocattach` alone, on a terminal."""
    opened: list[Terminal] = []

    def start(width: int = 120, height: int = 40, **more: str) -> Terminal:
        with require("tmux"):
            terminal = Terminal(
                [sys.executable, "-m", "ocattach"],
                directory=workdir,
                environment={**variables, **more},
                cwd=workdir,
                width=width,
                height=height,
            )
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def open_picker(bare: Open) -> Open:
    """`ocattach` alone, once it asks for a choice."""

    def start(width: int = 120, height: int = 40, **more: str) -> Terminal:
        terminal = bare(width, height, **more)
        terminal.wait_for("Attach to:")
        return terminal

    return start


def shown(screen: str) -> list[str]:
    """The names on the screen, the marked one in brackets."""
    found = re.findall(r"^([> ]) (\w+)  .*docker://", screen, re.MULTILINE)
    return [f"[{name}]" if mark == ">" else name for mark, name in found]


def shows(*names: str) -> Callable[[str], bool]:
    return lambda screen: shown(screen) == list(names)


def test_what_was_used_last_comes_first(open_picker: Open) -> None:
    open_picker().wait_for(shows("[beta]", "gamma", "alpha", "queue"))


def test_typing_filters_by_name_target_and_description(open_picker: Open) -> None:
    picker = open_picker()
    picker.send_text("mma-a")
    picker.wait_for(shows("[gamma]"))
    for _ in range(5):
        picker.send_keys("BSpace")
    picker.send_text("ours be")
    picker.wait_for(shows("[beta]"))
    picker.send_keys("C-u")
    picker.send_text("zzz")
    picker.wait_for("nothing matches")


def test_arrows_choose_and_enter_attaches(open_picker: Open) -> None:
    picker = open_picker()
    picker.send_keys("Down", "Down", "Down", "Down", "Up", "Enter")
    code = picker.wait_for_exit()
    screen = picker.screen(history=True)

    assert code == 6
    assert "Connecting to alpha (docker://alpha-app)" in screen
    assert "Attach to:" not in screen


@pytest.mark.parametrize("key", ["Escape", "q", "C-c", "C-d"])
def test_leaving_is_130_and_leaves_the_screen_and_the_terminal_as_they_were(
    open_picker: Open, key: str
) -> None:
    picker = open_picker()
    picker.send_keys(key)

    assert picker.wait_for_exit() == 130
    assert not picker.screen(history=True).strip()


def test_q_is_a_letter_once_something_was_typed(open_picker: Open) -> None:
    picker = open_picker()
    picker.send_text(" q")
    picker.wait_for(shows("[queue]"))


def test_a_small_terminal_shows_what_is_marked(open_picker: Open) -> None:
    picker = open_picker(width=40, height=6)
    picker.wait_for(re.compile(r"^> beta", re.MULTILINE))
    picker.send_keys("Down", "Down", "Down")
    picker.wait_for(re.compile(r"^> queue", re.MULTILINE))

    assert len(picker.screen().splitlines()) <= 6


def test_colour_is_left_out_where_nobody_wants_it(open_picker: Open) -> None:
    open_picker(NO_COLOR="1").wait_for(shows("[beta]", "gamma", "alpha", "queue"))


def test_without_a_terminal_the_missing_name_is_reported(variables: Mapping[str, str], workdir: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ocattach"],
        env=variables,
        cwd=workdir,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert not ran.stdout
    assert "NAME or URI is missing" in ran.stderr


def test_without_any_connection_three_lines_say_how_to_begin(
    variables: Mapping[str, str], workdir: Path
) -> None:
    with (
        require("tmux"),
        Terminal(
            [sys.executable, "-m", "ocattach"],
            directory=workdir,
            environment={**variables, "OCATTACH_CONFIG_DIR": str(workdir / "none")},
            cwd=workdir,
            height=80,
        ) as terminal,
    ):
        assert terminal.wait_for_exit() == 2
        assert terminal.screen().strip().splitlines() == [
            "No connections yet. To save one and attach to it:",
            "  ocattach --save frontend docker://CONTAINER --workdir /app",
            "  ocattach frontend",
        ]


def written(workdir: Path, **document: object) -> None:
    """Make this the project's file in the working directory."""
    (workdir / ".git").mkdir()
    (workdir / "opencode.json").write_text(json.dumps(document))


def test_a_default_of_ones_own_is_attached_to_without_a_choice(
    bare: Open, variables: Mapping[str, str], workdir: Path
) -> None:
    written(workdir, default="shared", environments={"shared": "docker://shared-app"})
    chosen = subprocess.run(
        [sys.executable, "-m", "ocattach", "--default", "gamma"],
        env=variables,
        cwd=workdir,
        capture_output=True,
        text=True,
        check=True,
    )
    assert chosen.stderr == "The default is gamma now\n"

    terminal = bare()
    assert terminal.wait_for_exit() == 6
    assert "Connecting to gamma (docker://gamma-app)" in terminal.screen()


def test_a_projects_default_leads_to_the_trust_question(bare: Open, workdir: Path) -> None:
    written(workdir, default="shared", environments={"shared": "docker://shared-app"})
    terminal = bare()
    screen = terminal.wait_for("Use shared?")
    terminal.send_text("n")
    terminal.send_keys("Enter")

    assert "shared is defined by" in screen
    assert terminal.wait_for_exit() == 5
    assert "Connecting to" not in terminal.screen()


def test_a_projects_default_that_names_a_connection_of_ones_own_is_an_error(
    bare: Open, workdir: Path
) -> None:
    written(workdir, default="gamma", environments={"shared": "docker://shared-app"})
    terminal = bare()

    assert terminal.wait_for_exit() == 2
    screen = terminal.screen()
    assert "default: no environment named 'gamma' is defined here" in screen
    assert "Connecting to" not in screen


def test_a_projects_default_that_a_saved_connection_hides_is_only_offered(
    open_picker: Open, workdir: Path
) -> None:
    written(workdir, default="queue", environments={"queue": "docker://theirs"})

    open_picker().wait_for(shows("[queue]", "beta", "gamma", "alpha"))


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_the_tui_opens_on_the_only_connection(laptop: Laptop, workdir: Path) -> None:
    with (
        require("tmux"),
        Terminal(OCATTACH, directory=workdir, environment=laptop.variables, cwd=laptop.cwd) as terminal,
    ):
        terminal.wait_for("Ask anything", timeout=60)
        screen = terminal.wait_for("Connected to frontend")
        title = terminal.title
        terminal.send_keys("C-c")
        assert terminal.wait_for_exit() == 0

        assert "ocattach: frontend" in screen
        assert title == "frontend - OpenCode"
        assert terminal.title != title
