"""The same by terminal: steps, then the real TUI, which works and can be left."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.processes import ArgumentRecorder
from tests.rigs.terminal import Terminal

READY = "Ask anything"
TUI_SECONDS = 80


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: the first test finds nothing running there, and the others do not mind."""
    return shared_environment


@pytest.fixture(scope="module")
def laptop(environment: Environment) -> Iterator[Laptop]:
    """One for all, too."""
    with new_laptop(environment) as laptop:
        yield laptop


@contextmanager
def terminal(laptop: Laptop, directory: Path, *arguments: str, **variables: str) -> Iterator[Terminal]:
    """A terminal in which ocattach runs."""
    with Terminal(
        [*OCATTACH, *arguments],
        directory=directory,
        environment={**laptop.variables, **variables},
        cwd=laptop.cwd,
    ) as opened:
        for words, answer in laptop.environment.answers.items() if not laptop.links() else ():
            opened.wait_for(words.rstrip())
            opened.send_text(answer)
            opened.send_keys("Enter")
        yield opened


def leave(opened: Terminal) -> int:
    """Quit the TUI as a person does; its exit code."""
    opened.send_keys("C-c")
    return opened.wait_for_exit()


@pytest.mark.parametrize("shared_environment", ["k8s", "ssh-password"], indirect=True)
def test_the_steps_are_shown_and_then_a_tui_that_answers(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    with terminal(laptop, workdir, "frontend") as opened:
        if environment.starts_daemons:
            opened.wait_for(
                re.compile(r"^  Starting the daemon \(\d+ s\)$", re.MULTILINE), timeout=TUI_SECONDS
            )
            opened.wait_for("✓ Started daemon on port", timeout=TUI_SECONDS)
        screen = opened.wait_for(READY, timeout=TUI_SECONDS)
        assert environment.workdir in re.sub(r"\s", "", screen) or "~" in screen
        opened.send_text("hello from the terminal")
        opened.wait_for("hello from the terminal")
        opened.send_keys("Enter")
        opened.wait_for("You said: hello from the terminal", timeout=TUI_SECONDS)

        assert leave(opened) == 0
        left = opened.screen()
        assert "To come back: ocattach frontend -c; to stop the daemon: ocattach --stop frontend" in left
        assert "Starting the daemon" not in left


@pytest.mark.parametrize("shared_environment", ["ssh-password"], indirect=True)
def test_a_command_uses_the_log_in_of_a_link_which_then_does_not_end(environment: Environment) -> None:
    with new_laptop(environment) as laptop:
        (laptop.config / "config.yaml").write_text("link_idle_seconds: 6\n")
        laptop.connect()
        with laptop.start("exec", "frontend", "--", "sh", "-c", "sleep 8; hostname") as process:
            assert process.communicate(timeout=20) == ("machine-passwd\n", ""), "no password can be typed"


@pytest.mark.parametrize("shared_environment", ["docker"], indirect=True)
def test_the_next_terminal_dials_nothing_and_shows_no_password_also_behind_a_proxy_setting(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    password = laptop.connect().document["password"]
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    connections = environment.connections()
    with (
        ArgumentRecorder() as recorder,
        terminal(laptop, workdir, "frontend", **proxies) as opened,
    ):
        opened.wait_for(lambda screen: "✓ Daemon already running on port" in screen or READY in screen)
        opened.wait_for(READY, timeout=TUI_SECONDS)
        assert leave(opened) == 0

    assert environment.connections() == connections
    assert "Daemon already running" in laptop.run("frontend", "--print-url").stderr
    assert not recorder.showing(password)
    assert any("attach" in argv for argv in recorder.seen)
