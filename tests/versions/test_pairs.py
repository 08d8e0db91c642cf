"""A TUI and a daemon of different ages: they work, or are refused before any TUI is seen."""

import shlex
from pathlib import Path

import pytest

from ocattach.opencode.tui.launch import packaged_version
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.opencode import opencode_bin
from tests.rigs.terminal import Terminal
from tests.rigs.versions import command
from tests.rigs.waiting import wait_until
from tests.versions.conftest import MakeLaptop, program
from tests.versions.test_daemons import by_hand

READY = "Ask anything"
TUI_SECONDS = 60


def terminal(laptop: Laptop, directory: Path, *arguments: str) -> Terminal:
    return Terminal(
        [*OCATTACH, "frontend", *arguments],
        directory=directory,
        environment=laptop.variables,
        cwd=laptop.cwd,
    )


@pytest.mark.parametrize(
    ("client", "daemon"),
    [("1.1.65", "current"), ("1.17.0", "current"), ("current", "1.17.0")],
)
def test_these_work_together(laptop_with: MakeLaptop, workdir: Path, client: str, daemon: str) -> None:
    laptop = laptop_with(client=client, daemon=daemon)
    with terminal(laptop, workdir) as opened:
        opened.wait_for(READY, timeout=TUI_SECONDS)
        opened.send_text("hello over the years")
        opened.wait_for("hello over the years")
        opened.send_keys("Enter")
        opened.wait_for("You said: hello over the years", timeout=TUI_SECONDS)


@pytest.mark.parametrize("client", ["1.17.0", "current"])
def test_these_cannot_speak_and_are_refused_with_both_versions(
    laptop_with: MakeLaptop, workdir: Path, client: str
) -> None:
    laptop = laptop_with(client=client, daemon="1.14.41")
    with terminal(laptop, workdir) as opened:
        assert opened.wait_for_exit(timeout=TUI_SECONDS) == 7
        screen = opened.screen(history=True)

    assert "OpenCode 1.14.41 in the environment" in " ".join(screen.split())
    assert f"OpenCode {'1.18.33' if client == 'current' else client} on this machine" in screen
    assert "bunfs" not in screen


@pytest.mark.parametrize("option", ["--continue", "--fork"])
def test_an_option_that_came_later_is_refused(laptop_with: MakeLaptop, workdir: Path, option: str) -> None:
    laptop = laptop_with(client="1.1.65")
    with terminal(laptop, workdir, option) as opened:
        assert opened.wait_for_exit(timeout=TUI_SECONDS) == 7
        assert f"OpenCode 1.1.65 on this machine does not support {option}" in opened.screen()


def test_a_user_name_that_the_program_cannot_send_stays_in_the_link(laptop_with: MakeLaptop) -> None:
    laptop = laptop_with(client="1.1.65")
    credentials = {"OPENCODE_SERVER_USERNAME": "ada", "OPENCODE_SERVER_PASSWORD": "by-hand"}
    with by_hand(laptop, "current", **credentials):
        wait_until(
            lambda: laptop.run("frontend", "--no-start", "--print-url").exit_code == 0,
            "the daemon to be found",
            timeout=TUI_SECONDS,
        )
        daemon = laptop.connect()

        assert daemon.document["username"] == "opencode"
        assert daemon.request("GET", "/global/health")[0] == 200


def test_a_program_outside_any_package_is_asked_once_for_its_version(
    laptop_with: MakeLaptop, workdir: Path
) -> None:
    calls = workdir / "calls"
    wrapper = workdir / "wrapper"
    old = shlex.quote(str(program("1.1.65")))
    wrapper.write_text(f'#!/bin/sh\necho "$1" >>{shlex.quote(str(calls))}\nexec {old} "$@"\n')
    wrapper.chmod(0o755)
    laptop = laptop_with(client=wrapper)
    for _ in range(2):
        with terminal(laptop, workdir, "--continue") as opened:
            assert opened.wait_for_exit(timeout=TUI_SECONDS) == 7
            assert "OpenCode 1.1.65 on this machine" in opened.screen()

    assert calls.read_text().splitlines() == ["--version"]


def test_the_current_program_is_not_asked_at_all() -> None:
    assert packaged_version(Path(opencode_bin())) == "1.18.33"
    assert packaged_version(command("1.14.41").resolve()) == "1.14.41"
