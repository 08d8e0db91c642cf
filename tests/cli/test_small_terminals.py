"""Terminals that are narrow, that only print lines, or whose encoding has few characters."""

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from ocattach.cli.columns import width
from tests.cli.test_escape import FAMILY, PERSIAN
from tests.main_job.laptop import OCATTACH
from tests.rigs.directories import short_directory
from tests.rigs.odd_daemon import odd_daemon, session
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
    return "".join(re.split("  ", line)[0] for line in screen.splitlines())


@pytest.mark.parametrize("command", [("--list",), ("--status",), ("trust",)])
def test_names_are_whole_on_a_narrow_terminal(desk: Desk, command: tuple[str, ...]) -> None:
    with desk.terminal(*command, width=NARROW) as opened:
        assert opened.wait_for_exit() == 0
        screen = opened.screen()

    last = screen[
        screen.rfind("\nName") + 1 :
    ]  # a table that is higher than the terminal leaves its first form
    assert "…" not in last
    expected = ("shared",) if command == ("trust",) else (*NAMES, "shared")
    assert all(name in folded(screen) for name in expected), screen
    if command == ("--status",):
        assert last.count("stopped") == len(NAMES)
        assert "untrusted" in screen
        assert re.search(r"connection +refused|refused", screen)


def test_a_finding_of_doctor_is_read_on_a_narrow_terminal(desk: Desk) -> None:
    with desk.terminal("doctor", width=NARROW) as opened:
        assert opened.wait_for_exit() == 0
        screen = opened.screen()

    assert re.search(r"^✓ ssh +\d+ ms\n  /\S+/ssh$", screen, re.MULTILINE), screen


def test_what_a_failed_step_prevents_is_one_line_and_the_hint_is_below_its_text(desk: Desk) -> None:
    with desk.terminal("doctor", "frontend", width=80, around=("env", "PATH=/usr/bin:/bin")) as opened:
        opened.wait_for_exit()
        lines = opened.screen().splitlines()

    assert [line.split()[1] for line in lines if line.startswith("✗")] == ["environment", "tui"]
    (skipped,) = [line for line in lines if line.startswith("-")]
    assert skipped.startswith("- not checked              authentication, daemon, route")
    hint = next(number for number, line in enumerate(lines) if "→ Install it" in line)
    below = lines[hint + 1]
    assert below.index(below.strip()) == lines[hint].index("Install")


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


def printed(desk: Desk, *command: str, **variables: str) -> str:
    """What a command sends to a terminal."""
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as screen:  # noqa: PTH123 - a descriptor
        subprocess.run(
            [*OCATTACH, *command],
            env={**desk.variables, **variables},
            cwd=desk.home,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            check=True,
        )
        shown = screen.read(65536)
        os.close(theirs)
    return shown.decode()


@pytest.mark.parametrize("command", ["--status", "--list", "doctor"])
def test_no_sequences_are_sent_to_a_terminal_that_cannot_read_them(desk: Desk, command: str) -> None:
    shown = printed(desk, command, TERM="dumb")

    assert "\x1b" not in shown
    assert len(shown.splitlines()) > len(NAMES)


def test_a_title_from_right_to_left_leaves_the_columns_beside_it_in_place() -> None:
    titles = (PERSIAN, FAMILY, "Plain")
    listed = [session(id=f"ses_{number}", title=title) for number, title in enumerate(titles)]
    with short_directory() as home, odd_daemon(*listed) as daemon:
        desk = Desk(home)
        desk.save("far", {"transport": "http", "url": daemon.url})
        on_terminal = printed(desk, "session", "list")
        in_pipe = desk.run("session", "list").stdout

    assert f"  \u2068{PERSIAN}\u2069  " in on_terminal
    assert "\u2068" not in in_pipe
    assert all(f"  {title}  " in in_pipe for title in titles)
    starts = {width(line[: line.index(" ago")]) for line in in_pipe.splitlines() if " ago" in line}
    assert len(starts) == 1


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
