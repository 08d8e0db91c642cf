"""What waits for a person, shown and answered in the watch."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import Daemon, Laptop
from tests.main_job.test_terminal import TUI_SECONDS, terminal
from tests.rigs.odd_daemon import OddDaemon, odd_daemon, session
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until
from tests.sessions.test_origin import ask
from tests.sessions.workshop import ASK_TWO_QUESTIONS
from tests.survey.desk import Desk

COMMAND = f"printf '\x1b[2J'; {'echo harmless; ' * 100}rm -rf /"
"""A command whose end does not fit a small screen."""


NO_QUESTION = r"(?s:\A(?!.*Which colour))"
ASKS = re.compile("enter (submit|confirm)")
"""What the TUI shows with a question."""


def press(opened: Terminal, key: str, awaited: str) -> str:
    """Press a key and wait for a text."""
    opened.send_keys(key)
    return opened.wait_for(awaited)


def refresh(opened: Terminal, awaited: str) -> str:
    """Refresh the rows until a text appears."""

    def look() -> str | None:
        opened.send_keys("r")
        screen = opened.screen()
        return screen if re.search(awaited, screen, re.MULTILINE) else None

    return wait_until(look, awaited, interval=0.3)


def waiting(daemon: Daemon, kind: str) -> list[dict[str, Any]]:
    """The requests that the daemon has."""
    where = quote(daemon.document["workdir"], safe="")
    found: list[dict[str, Any]] = daemon.request("GET", f"/{kind}?directory={where}")[1]
    return found


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for both tests."""
    return shared_environment


@pytest.fixture(scope="module")
def laptop(environment: Environment) -> Iterator[Laptop]:
    """One for both tests."""
    with new_laptop(environment) as laptop:
        yield laptop


@pytest.mark.parametrize("shared_environment", ["docker"], indirect=True)
def test_a_person_is_called_and_answers_without_leaving_the_watch(laptop: Laptop, workdir: Path) -> None:
    daemon = laptop.connect()
    with terminal(laptop, workdir, "--status", "--watch") as opened:
        opened.resize(80, 24)
        opened.wait_for(re.compile(r"> frontend +running"))
        assert opened._ask("#{window_bell_flag}") == "0"
        ask(daemon, daemon.make_session(), "!read /etc/passwd")
        screen = refresh(opened, "Permission for external_directory")
        assert "1 waiting for you" in screen
        assert "always would allow: /etc/*" in screen
        assert opened._ask("#{window_bell_flag}") == "1"
        press(opened, "o", "press Tab")
        press(opened, "Tab", "> Permission for")
        press(opened, "o", "Allowed once: external_directory: /etc/*")
        wait_until(lambda: not waiting(daemon, "permission"), "the answer")
        refresh(opened, r"Latest sessions\n +idle +now")

        ask(daemon, asking := daemon.make_session(), ASK_TWO_QUESTIONS)
        refresh(opened, r"Which colour\?\n +1 red \(warm\) +2 blue \(cold\)")
        press(opened, "Tab", "> Question")
        press(opened, "2", "by number, then Enter: 2")
        press(opened, "Enter", "Answer to Size by number, several with commas")
        opened.send_keys("3")
        press(opened, "Enter", "There is no choice 3")
        opened.send_text("1,2")
        press(opened, "Enter", "Answered blue; S, L")
        wait_until(lambda: not waiting(daemon, "question"), "the answer")

    _, messages = daemon.request("GET", f"/session/{asking}/message")
    parts = [part for each in messages for part in each["parts"]]
    (output,) = [part["state"]["output"] for part in parts if part["type"] == "tool"]
    assert '"Which colour?"="blue"' in output
    assert '"Which sizes?"="S, L"' in output


@pytest.mark.parametrize("shared_environment", ["docker"], indirect=True)
def test_a_person_allows_for_good_rejects_and_comes_back_from_the_tui(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    daemon = laptop.connect()
    with terminal(laptop, workdir, "--status", "--watch") as opened:
        ask(daemon, reading := daemon.make_session(), "!read /etc/group")
        refresh(opened, "Permission for external_directory")
        press(opened, "Tab", "> Permission for")
        press(opened, "a", "Press y to allow until the daemon stops: /etc/*")
        press(opened, "n", "Not allowed")
        assert waiting(daemon, "permission")
        press(opened, "a", "Press y")
        press(opened, "y", "Always allowed")
        daemon.prompt(reading, "!read /etc/hosts")

        ask(daemon, reading, ASK_TWO_QUESTIONS)
        refresh(opened, r"Which colour\?")
        press(opened, "Tab", "> Question")
        press(opened, "x", "Rejected")
        wait_until(lambda: not waiting(daemon, "question"), "the answer")
        refresh(opened, NO_QUESTION)

        ask(daemon, reading, ASK_TWO_QUESTIONS)
        refresh(opened, r"Which colour\?")
        press(opened, "Tab", "> Question")
        opened.send_keys("Enter")
        opened.wait_for(ASKS, timeout=TUI_SECONDS)
        opened.send_keys("C-c")  # which dismisses the question first (1.18.33)
        wait_until(lambda: not waiting(daemon, "question"), "the answer")
        opened.wait_for(lambda screen: not ASKS.search(screen))  # it would be dismissed again
        opened.send_keys("C-c")
        opened.wait_for(re.compile(r"> frontend +running"))
        assert environment.processes()
        press(opened, "Escape", "")
        assert opened.wait_for_exit() == 0


@pytest.fixture
def odd(desk: Desk) -> Iterator[OddDaemon]:
    """A daemon whose session asks for a permission, and that takes no answer."""
    hostile = session(title="Deploy\x1b[31m\n> Question")
    request = {
        "id": "per_1",
        "sessionID": "ses_good",
        "permission": "bash",
        "patterns": [COMMAND],
        "always": ["echo *"],
    }
    with odd_daemon(hostile) as daemon:
        daemon.answer("/session/ses_good", hostile)
        daemon.answer("/session/status", {"ses_good": {"type": "busy"}})
        daemon.answer("/permission", [request])
        desk.save("frontend", {"transport": "http", "url": daemon.url})
        yield daemon


def test_a_request_that_is_longer_than_the_screen_is_not_allowed_by_one_key(
    desk: Desk, odd: OddDaemon
) -> None:
    desk.variables["NO_COLOR"] = "1"
    desk.save("another", {"transport": "http", "url": "http://127.0.0.1:9"})
    with desk.terminal("--status", "--watch", width=60, height=20) as opened:
        screen = opened.wait_for("Permission for bash")
        assert re.search(r"^> frontend +waiting", screen, re.MULTILINE), "first, and marked"
        assert r"printf '\x1b[2J'" in screen
        assert "rm -rf" not in screen
        assert "more lines" in screen
        assert max(map(len, screen.splitlines())) <= opened.width
        press(opened, "Tab", r"> Permission for bash · Deploy\x1b[31m > Question")
        assert "\x1b[31m" not in opened.screen(colours=True)
        press(opened, "o", "Not all of this request is shown")
        press(opened, "Enter", "Not allowed")
        press(opened, "o", "Press y to allow it")
        press(opened, "y", "501")
        press(opened, "?", "permission: allow once")
        opened.send_keys("q")
        press(opened, "BTab", "> Permission for bash")
        odd.answer(
            "/permission", [{**json.loads(odd.bodies["/permission"])[0], "id": "per_2", "patterns": ["rm x"]}]
        )
        refresh(opened, "^  Permission for bash.*\n +rm x")
        press(opened, "o", "press Tab")
        opened.resize(150, 40)
        opened.wait_for("http://127.0.0.1")
        assert opened.exit_code is None


def test_a_terminal_that_prints_lines_gets_each_request_with_the_command_that_answers_it(
    desk: Desk, odd: OddDaemon
) -> None:
    with desk.terminal("--status", "--watch", around=("env", "TERM=dumb")) as opened:
        screen = re.sub(r"\n", "", opened.wait_for("session reply"))
        assert re.search(r"^frontend +waiting", screen)
        assert rf"Permission: bash: {COMMAND}".replace("\x1b", r"\x1b") in screen
        assert "rm -rf /. To answer: ocattach session reply per_1 once" in screen
        odd.answer("/permission", [])
        opened.wait_for("busy")
        opened.send_keys("C-c")
        assert opened.wait_for_exit() == 0
