"""`--status`, `--list` and `session list` on a real terminal: what is on the screen, for four widths and three sizes.

The screens are files in tests/cli/screens. After a change of a layout, `python -m tests.cli.test_layout` writes them
anew: read them as a person would.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.docs.markdown import CHECKOUT
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.odd_daemon import OddDaemon, odd_daemon, session
from tests.survey.desk import Desk

SCREENS = CHECKOUT / "tests/cli/screens"
WIDTHS = (60, 80, 100, 150)
COUNTS = (1, 10, 100)
PATIENT = ("--timeout", "60")
COMMANDS = {
    "status": ("--status", *PATIENT),
    "list": ("--list",),
    "session-list": ("session", "list", *PATIENT),
}
HEIGHT = 40
PORT = "40000"
HOME = "/home/you/coding"
"""As long as the names of directories for tests."""

HOUR = 3600
AGES = (2.5 * HOUR, 5.5 * HOUR, 30 * HOUR, 9.5 * 24 * HOUR)
"""Since sessions were updated and connections used, in seconds: far from where the words for them change."""

NAMES = (
    "frontend",
    "api",
    "warehouse-integration",
    "gpu",
    "docs",
    "billing",
    "search",
    "staging-eu",
    "worker",
)
NO_ENGINE = {
    "transport": "docker",
    "container": "gpu",
    "workdir": "/srv/models",
    "host": "unix:///nowhere.sock",
}
NO_DAEMON = {"transport": "http", "url": "http://127.0.0.1:9"}
UNTRUSTED = {"transport": "ssh", "host": "staging.example.com", "user": "deploy", "workdir": "/var/www/app"}
TITLES = (
    "Fix API rate limiting",
    "Refactor auth components",
    "Debug the payment webhook of the shop in production",
)


def serve(daemon: OddDaemon, number: int) -> str:
    """The URL of one more daemon of a server, with up to three sessions; in some, one is at work or waits."""
    base = f"/{number:03}"
    sessions = [
        session(
            id=f"ses_e00b42f8fffeho6JiInwI5{number:03}{which}", title=title, directory=f"/srv/{number:03}"
        )
        for which, title in enumerate(TITLES[: number % 4])
    ]
    for which, each in enumerate(sessions):
        each["time"]["updated"] = int((time.time() - AGES[(number + which) % len(AGES)] - number) * 1000)
    permission = {"permission": "bash", "patterns": ["make"], "always": [], "metadata": {}}
    asked = [{"id": f"per_{number}", "sessionID": each["id"], **permission} for each in sessions[:1]]
    answers = {
        "/global/health": {"healthy": True, "version": "1.18.33"},
        "/session": sessions,
        "/experimental/session": sessions,
        "/session/status": {each["id"]: {"type": "busy"} for each in sessions[:1] if number % 6 in {2, 3}},
        "/permission": asked if number % 6 == 3 else [],
        "/question": [],
    }
    for path, answer in answers.items():
        daemon.answer(base + path, answer)
    return daemon.url + base


@contextmanager
def desk(count: int) -> Iterator[tuple[Desk, str]]:
    """A home with so many connections, one of them a project's if there are several, and the port of its daemons."""
    names = [*NAMES, *(f"service-{number:02}" for number in range(count))]
    with short_directory() as home, odd_daemon() as daemon:
        made = Desk(home, COLUMNS="200")  # what a shell may export is not the width of the terminal
        used = made.state / "used"
        used.mkdir(parents=True, mode=0o700)
        for number, name in enumerate(names[: max(1, count - 1)], 1):
            daemons = {"transport": "http", "url": serve(daemon, number)}
            made.save(name, {"gpu": NO_ENGINE, "billing": NO_DAEMON}.get(name, daemons))
            if number % 2:
                (used / name).touch()
                os.utime(used / name, (time.time() - AGES[number % len(AGES)],) * 2)
        if count > 1:
            (home / "opencode.json").write_text(json.dumps({"environments": {"staging": UNTRUSTED}}))
        yield made, daemon.url.rpartition(":")[2]


def screens(made: Desk, port: str, command: str) -> Iterator[tuple[int, str]]:
    """What a command leaves on a terminal of each width, with what has scrolled away."""
    with ExitStack() as stack:
        opened = [
            (width, stack.enter_context(made.terminal(*COMMANDS[command], width=width, height=HEIGHT)))
            for width in WIDTHS
        ]
        for width, terminal in opened:
            assert terminal.wait_for_exit() == 0, terminal.screen(history=True)
            shown = terminal.screen(history=True)
            shown = shown.replace("At least ", "")  # if the index has not all of them by then
            yield width, shown.replace(port, PORT).replace(str(made.home), HOME) + "\n"


def file(command: str, count: int, width: int) -> Path:
    """Where a screen is kept."""
    return SCREENS / f"{command}-{count}-{width}.txt"


@pytest.mark.parametrize("count", COUNTS)
def test_the_screens_are_as_they_were_read(count: int) -> None:
    with require("tmux"), desk(count) as (made, port):
        for command in COMMANDS:
            for width, shown in screens(made, port, command):
                assert shown == file(command, count, width).read_text()
                assert all(cell_len(line) <= width for line in shown.splitlines())


if __name__ == "__main__":
    for size in COUNTS:
        with desk(size) as furnished:
            for name in COMMANDS:
                for columns, drawn in screens(*furnished, name):
                    file(name, size, columns).write_text(drawn)
