"""Whoever asks several environments is shown that, and since when, while one of them does not answer."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.rigs.availability import require
from tests.survey.desk import Desk

SESSION = "ses_6b8a2f0d1ffeZ9xQ2vW7yTnK4r"

COMMANDS = [
    "session list",
    "session stats",
    "session waiting",
    f"session show {SESSION}",
    f"session abort {SESSION}",
    f"session export {SESSION}",
    f"session delete {SESSION} --yes",
    f"session open {SESSION}",
    f"session send {SESSION} hello",
    "session reply per_6b8a2f0d1ffe once",
    "session answer que_6b8a2f0d1ffe yes",
    f"wait {SESSION}",
]


@pytest.fixture
def silent(desk: Desk) -> Iterator[Desk]:
    """A desk with a connection to an engine that takes every call and answers none."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(desk.home / "engine"))
        engine.listen(100)
        desk.save(
            "frontend", {"transport": "docker", "container": "web", "host": f"unix://{desk.home}/engine"}
        )
        yield desk


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_waits_says_so_and_leaves_no_trace_of_it(silent: Desk, command: str) -> None:
    with require("tmux"), silent.terminal(*command.split()) as terminal:
        terminal.wait_for("Asking the environments (", timeout=20)
        terminal.send_keys("C-c")
        assert terminal.wait_for_exit(timeout=20) == 130

        assert "Asking" not in terminal.screen()


def test_in_a_pipe_nothing_of_it_is_printed(silent: Desk) -> None:
    ran = silent.run("session", "waiting", "--timeout", "2", "-o", "json")

    assert json.loads(ran.stdout)["unasked"]
    assert ran.stderr == ""
