"""Hooks: run once for each event, within a deadline, and in nobody's way."""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ocattach.link.sessions import hooks
from ocattach.link.sessions.hooks import Hooks, run_hook
from ocattach.opencode.agent_events import AgentEvents
from tests.rigs.waiting import wait_until

SAVE = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write(sys.stdin.read())"


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"event": kind, "session": "ses_1", **more}


def test_a_hook_gets_each_of_its_events_on_stdin(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    run = Hooks({"tool-end": [[sys.executable, "-c", SAVE, str(seen)]]})

    for number in range(20):
        run(event("tool-end", exit_code=number), AgentEvents())
        run(event("tool-start"), AgentEvents())

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in seen.read_text().splitlines()] if seen.exists() else []

    wait_until(lambda: len(lines()) == 20, "all hooks to run")
    assert {each["exit_code"] for each in lines()} == set(range(20))


def sleeping() -> list[psutil.Process]:
    """The processes of the hook that hangs."""
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "61"]]


def test_a_hook_that_hangs_is_ended_with_what_it_started(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run_hook(["sh", "-c", "sleep 61 & sleep 61"], event("answer"), seconds=0.3)

    assert "hook sh was ended after 0.3 s" in caplog.text
    wait_until(lambda: not sleeping(), "what it started to end")


def test_what_a_hook_leaves_behind_is_not_awaited(caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        run_hook(["setsid", "--fork", "sleep", "20"], event("answer"), seconds=0.3)

    assert time.monotonic() - began < 10
    assert "hook setsid was ended after 0.3 s" in caplog.text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["sh", "-c", "echo no such rule >&2; exit 3"], "hook sh failed with exit code 3: no such rule"),
        (["/nowhere/hook"], "hook /nowhere/hook cannot be run: No such file or directory"),
    ],
)
def test_a_hook_that_fails_is_logged(argv: list[str], said: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run_hook(argv, event("answer"), seconds=20)

    assert said in caplog.text


def test_a_value_of_an_event_is_never_part_of_a_command(tmp_path: Path) -> None:
    run_hook(
        ["sh", "-c", "cat >/dev/null; exit 0"], event("answer", text=f"$(touch {tmp_path}/x)"), seconds=20
    )

    assert not (tmp_path / "x").exists()


def test_too_many_events_are_dropped_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "WORKERS", 1)
    monkeypatch.setattr(hooks, "BACKLOG", 2)
    run = Hooks({"answer": [["sh", "-c", "sleep 0.2"]]})

    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            run(event("answer"), AgentEvents())

    assert "hook sh was not run for answer: too many are waiting" in caplog.text
