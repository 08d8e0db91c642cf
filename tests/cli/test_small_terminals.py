"""Terminals that are narrow, that only print lines, or whose encoding has few characters."""

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.main_job.laptop import OCATTACH
from tests.rigs.directories import short_directory
from tests.survey.desk import Desk

NAMES = ("frontend", "warehouse-integration", "a-name-of-the-length-that-teams-do-use")
NARROW = 40
DUMB = ("env", "TERM=dumb")


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Connections to nothing, one of them a project's."""
    with short_directory() as home:
        desk = Desk(home)
        for name in NAMES:
            desk.save(name, {"transport": "http", "url": "http://127.0.0.1:9", "description": "x"})
        (home / "opencode.json").write_text(json.dumps({"environments": {"shared": {"transport": "local"}}}))
        yield desk


def folded(screen: str) -> str:
    """The first column, whose cells may go on below."""
    return "".join(re.split(r"  |(?<=\S) ", line)[0] for line in screen.splitlines())


@pytest.mark.parametrize("command", [("--list",), ("--status",), ("trust",)])
def test_names_are_whole_on_a_narrow_terminal(desk: Desk, command: tuple[str, ...]) -> None:
    with desk.terminal(*command, width=NARROW) as opened:
        assert opened.wait_for_exit() == 0
        screen = opened.screen()

    assert "…" not in screen
    expected = ("shared",) if command == ("trust",) else (*NAMES, "shared")
    assert all(name in folded(screen) for name in expected), screen
    if command == ("--status",):
        assert screen.count("stopped") == len(NAMES)
        assert "untrusted" in screen


def test_the_watch_shows_names_and_states_on_a_narrow_terminal(desk: Desk) -> None:
    with desk.terminal("--status", "--watch", width=NARROW) as opened:
        screen = opened.wait_for(re.compile(r"frontend +stopped"))

    assert re.search(r"warehouse-integration +stopped", screen)
    assert re.search(r"a-name-of-the-length-\S*… +stopped", screen)


def test_the_picker_shows_names_on_a_narrow_terminal(desk: Desk) -> None:
    with desk.terminal(width=NARROW) as opened:
        screen = opened.wait_for("Attach to:")

    assert all(name in screen for name in (*NAMES[:2], "shared")), screen


def test_the_watch_prints_lines_where_a_terminal_can_do_no_more(desk: Desk) -> None:
    with desk.terminal("--status", "--watch", around=DUMB) as opened:
        screen = opened.wait_for(lambda screen: screen.count("stopped") == len(NAMES))
        opened.send_keys("C-c")
        assert opened.wait_for_exit() == 0

    assert re.search(r"^frontend  stopped", screen, re.MULTILINE)
    assert "\x1b" not in screen


def test_the_picker_asks_for_a_number_where_a_terminal_can_do_no_more(desk: Desk) -> None:
    with desk.terminal(around=DUMB) as opened:
        screen = opened.wait_for("Attach to:")
        number = re.search(r"^(\d) +frontend ", screen, re.MULTILINE)
        assert number, screen
        opened.send_text(number[1])
        opened.send_keys("Enter")
        opened.wait_for("Connecting to frontend")


@pytest.mark.parametrize("command", [("--status",), ("--list",), ("doctor",)])
def test_no_sequences_are_sent_to_a_terminal_that_cannot_read_them(
    desk: Desk, command: tuple[str, ...]
) -> None:
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as screen:  # noqa: PTH123 - a descriptor
        subprocess.run(
            [*OCATTACH, *command],
            env={**desk.variables, "TERM": "dumb"},
            cwd=desk.home,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            check=True,
        )
        shown = screen.read(65536)
        os.close(theirs)

    assert b"\x1b" not in shown
    assert len(shown.splitlines()) > len(NAMES)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "koi8-r"])
def test_signs_that_an_encoding_lacks_are_replaced(desk: Desk, encoding: str) -> None:
    ran = subprocess.run(
        [*OCATTACH, "doctor"],
        env={**desk.variables, "PYTHONIOENCODING": encoding},
        cwd=desk.home,
        capture_output=True,
        check=False,
    )

    assert ran.returncode == 0
    assert re.search(rb"^\+ ocattach ", ran.stdout, re.MULTILINE), ran.stdout
