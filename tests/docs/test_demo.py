"""`make demo`: what a newcomer sees first."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.markdown import CHECKOUT
from tests.environments.local import processes_of_home
from tests.rigs.availability import require
from tests.rigs.local import LocalMachine
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until

DEMO = [sys.executable, str(CHECKOUT / "scripts/demo.py")]
PROXIES = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
SECONDS = 60


def run(argv: list[str], machine: LocalMachine, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program at home there, without a terminal."""
    return subprocess.run(
        argv,
        env={**machine.environment, **variables},
        cwd=machine.workdir,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def ocattach(machine: LocalMachine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ocattach in the checkout, as the demo does."""
    return subprocess.run(
        [sys.executable, "-m", "ocattach", *arguments],
        env=machine.environment,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_without_a_terminal_a_session_is_made_and_nothing_left_running(local: LocalMachine) -> None:
    ran = run(DEMO, local, **PROXIES)

    assert ran.returncode == 0, ran.stderr
    assert "✓ Started daemon on port" in ran.stderr
    made = re.search(r"read it back: (ses_\w+)", ran.stdout)
    assert made
    assert len(re.findall(rf"^  {made[1]} ", ran.stdout, re.MULTILINE)) == 1
    assert "Stopped the daemon" in ran.stderr
    assert processes_of_home(str(local.home)) == []
    assert list((local.home / "run").glob("*.sock")) == []


def test_a_daemon_and_a_link_that_were_there_before_stay(local: LocalMachine) -> None:
    before = json.loads(ocattach(local, "local://", "--print-url", "-o", "json").stdout)
    try:
        ran = run(DEMO, local)
        after = json.loads(ocattach(local, "local://", "--print-url", "-o", "json").stdout)
    finally:
        stopped = ocattach(local, "--stop", "local://")

    assert ran.returncode == 0, ran.stderr
    assert "✓ Daemon already running" in ran.stderr
    assert after["url"] == before["url"]
    assert str(before["daemon"]["pid"]) in stopped.stderr


def test_a_failure_is_told_and_keeps_its_exit_code(local: LocalMachine) -> None:
    config = local.home / ".config/opencode/opencode.json"
    config.write_text('{"model": 5}')

    ran = run(DEMO, local)

    assert ran.returncode == 1
    assert str(config) in ran.stderr
    assert "Traceback" not in ran.stderr
    assert processes_of_home(str(local.home)) == []


def test_a_reader_that_goes_away_leaves_nothing_running(local: LocalMachine) -> None:
    with subprocess.Popen(
        DEMO,
        env=dict(local.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(SECONDS) == 1

    wait_until(lambda: not processes_of_home(str(local.home)), "the daemon to end")


def test_on_a_terminal_the_tui_opens_after_the_steps(local: LocalMachine, workdir: Path) -> None:
    with (
        require("tmux"),
        Terminal(DEMO, directory=workdir, environment=local.environment, cwd=local.workdir) as terminal,
    ):
        terminal.wait_for("Ask anything", timeout=SECONDS)
        terminal.send_keys("C-c")
        assert terminal.wait_for_exit() == 0
        screen = terminal.screen(history=True)
    ended = ocattach(local, "--stop", "local://")

    assert "✓ Started daemon on port" in screen
    assert "--stop local://" in screen
    assert "Stopped the daemon" in ended.stderr
