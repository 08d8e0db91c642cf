"""The background process that holds a connection."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import OCATTACH, Daemon, Laptop
from tests.main_job.test_terminal import TUI_SECONDS, terminal
from tests.rigs.waiting import wait_until
from tests.sessions.workshop import ASK_FOR_BASH, ASK_TWO_QUESTIONS

pytestmark = pytest.mark.one_of_each(without=["local", "podman"])
on_docker = pytest.mark.parametrize("shared_environment", ["docker"], indirect=True)


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: each test's own laptop connects to what the others have left, be it nothing."""
    return shared_environment


RUNS, CALLS = 2, 4
KINDS = ("permissions", "questions")
GAP_SECONDS = 1


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in events]


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The whole lines of a file so far."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@contextmanager
def reading_events(laptop: Laptop, file: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A running `ocattach events`; gives what it has printed."""
    argv = [*OCATTACH, "events", "frontend", "--since-last"]
    with file.open("wb") as output:
        process = subprocess.Popen(argv, env=laptop.variables, cwd=laptop.cwd, stdout=output)
    try:
        yield lambda: lines_of(file)
    finally:
        process.terminate()
        process.wait()


def start(daemon: Daemon, session: str, text: str) -> None:
    """Send a prompt without waiting."""
    body = {"parts": [{"type": "text", "text": text}]}
    status, _ = daemon.request("POST", f"/session/{session}/prompt_async", body)
    assert status == http.client.NO_CONTENT


def outputs(daemon: Daemon, session: str) -> list[str]:
    """What the tools of a session have printed."""
    _, messages = daemon.request("GET", f"/session/{session}/message")
    parts = [part for message in messages for part in message["parts"]]
    return [part["state"]["output"] for part in parts if part["type"] == "tool"]


def relays(environment: Environment) -> list[psutil.Process]:
    """What runs in the environment besides the daemon and its children."""
    found, children = [], set[int]()
    for process in environment.processes():
        try:
            if "serve" in process.cmdline():
                children |= {child.pid for child in process.children(recursive=True)}
            else:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return [process for process in found if process.pid not in children]


def test_disconnecting_ends_link_and_relay_and_leaves_the_daemon(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    ran = laptop.run("--disconnect", "frontend")

    assert ran.exit_code == 0
    wait_until(lambda: not laptop.links(), "the link to end", timeout=5)
    assert not list(laptop.runtime.glob("*.sock"))
    wait_until(lambda: not relays(environment), "the relay to end")
    again = laptop.connect()
    assert not again.document["daemon"]["started"]
    assert again.document["daemon"]["pid"] == daemon.document["daemon"]["pid"]


@on_docker
def test_a_link_ends_when_nobody_has_used_it_for_its_time(environment: Environment, laptop: Laptop) -> None:
    (laptop.config / "config.yaml").write_text("link_idle_seconds: 1\n")
    laptop.connect()

    wait_until(lambda: not laptop.links(), "the idle link to end")
    wait_until(lambda: not relays(environment), "the relay to end")


@on_docker
def test_a_link_stays_while_a_client_is_connected(laptop: Laptop) -> None:
    (laptop.config / "config.yaml").write_text("link_idle_seconds: 3\n")
    daemon = laptop.connect()
    with daemon.stream("GET", "/global/event") as events:  # before the seconds are over
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert laptop.links()
            time.sleep(0.1)
        assert events.readline()

    wait_until(lambda: not laptop.links(), "the idle link to end")


@on_docker
def test_a_tui_shows_what_was_said_elsewhere_while_its_laptop_slept_and_its_way_was_lost(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    daemon = laptop.connect()
    _, session = daemon.request("POST", "/session", {"title": "Before the gap"})
    with terminal(laptop, workdir, "frontend", "-s", session["id"]) as opened:
        daemon.prompt(session["id"], "said before")
        opened.wait_for("You said: said before", timeout=TUI_SECONDS)
        (link,) = laptop.links()

        link.suspend()
        for process in relays(environment):
            process.kill()
        with new_laptop(environment) as other:
            other.connect().prompt(session["id"], "said elsewhere")
        link.resume()

        opened.wait_for("You said: said elsewhere", timeout=TUI_SECONDS)


def test_after_a_killed_link_the_next_connect_works(environment: Environment, laptop: Laptop) -> None:
    laptop.connect()
    for process in laptop.links():
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not laptop.links(), "the link to end")
    wait_until(lambda: not relays(environment), "the relay to end by itself")
    daemon = laptop.connect()

    assert not daemon.document["daemon"]["started"]
    assert daemon.request("GET", "/global/health")[0] == http.client.OK


@on_docker
def test_a_daemon_that_died_is_started_again_by_the_next_connect(
    environment: Environment, laptop: Laptop
) -> None:
    first = laptop.connect()
    for process in environment.processes():
        if "serve" in process.cmdline():
            process.kill()
    second = laptop.connect()

    assert second.document["daemon"]["started"]
    assert second.document["daemon"]["pid"] != first.document["daemon"]["pid"]
    assert second.request("GET", "/global/health")[0] == http.client.OK


def test_each_event_comes_once_though_the_connection_is_lost_in_the_middle_of_runs(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    hooked = workdir / "hooked"
    keep = [["sh", "-c", f"cat >> {hooked}"]]
    (laptop.config / "config.yaml").write_text(json.dumps({"hooks": {"tool-end": keep, "session-end": keep}}))
    daemon = laptop.connect()
    sessions = [daemon.make_session() for _ in range(RUNS)]
    with reading_events(laptop, workdir / "events") as events:
        for session in sessions:
            start(daemon, session, f"!times {CALLS}\n!bash sleep 0.2; echo out")
        wait_until(lambda: "tool-end" in kinds(events()), "the first call to end")
        (link,) = laptop.links()
        link.suspend()
        for process in relays(environment):
            process.kill()
        time.sleep(GAP_SECONDS)
        link.resume()
        wait_until(lambda: kinds(events()).count("session-end") == RUNS, "the runs to end")

    found = events()
    gaps = [each["seconds"] for each in found if each["event"] == "gap"]
    assert gaps
    assert min(gaps) > 0
    for session in sessions:
        run = [each for each in found if each.get("session") == session]
        calls = ["tool-start", "tool-end"] * CALLS
        assert kinds(run) == ["session-start", "prompt", *calls, "answer", "session-end"]
        assert [each["call"] for each in run if each["event"] == "tool-start"] == [
            each["call"] for each in run if each["event"] == "tool-end"
        ]
        assert (run[-1]["reason"], run[-3]["stdout"]) == ("idle", "out\n")
    expected = [each for each in found if each["event"] in {"tool-end", "session-end"}]
    wait_until(lambda: len(lines_of(hooked)) == len(expected), "the hooks to run")
    assert sorted(lines_of(hooked), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("shared_environment", ["k8s", "ssh"], indirect=True)
def test_what_sessions_wait_for_is_shown_and_answered(laptop: Laptop) -> None:
    daemon = laptop.connect()
    where = f"?directory={quote(daemon.document['workdir'], safe='')}"
    _, allowed = daemon.request("POST", f"/session{where}", {"permission": ASK_FOR_BASH})
    asking = daemon.make_session()
    start(daemon, allowed["id"], "!bash echo yes")
    start(daemon, asking, ASK_TWO_QUESTIONS)

    def waiting() -> dict[str, list[dict[str, Any]]]:
        return laptop.run("session", "waiting", "frontend", "-o", "json").document

    both = wait_until(lambda: found if all(map((found := waiting()).get, KINDS)) else None, "both to wait")
    (permission,), (question,) = both["permissions"], both["questions"]
    assert (permission["session"]["id"], question["session"]["id"]) == (allowed["id"], asking)
    assert permission["patterns"] == ["echo yes"]
    (row,) = laptop.run("--status", "frontend", "-o", "json").document["environments"]
    assert (row["state"], row["doing"]["waiting"]) == ("waiting", 2)
    assert laptop.run("session", "reply", permission["id"][:-2], "once").exit_code == 0
    assert laptop.run("session", "answer", question["id"], "blue", "S,L").exit_code == 0
    for session in (allowed["id"], asking):
        assert laptop.run("wait", session, "--timeout", "30").stdout.startswith(f"{session} idle: ")
    assert outputs(daemon, allowed["id"]) == ["yes\n"]
    (answered,) = outputs(daemon, asking)
    assert "blue" in answered
    assert "S, L" in answered


def test_stop_ends_daemon_and_link(environment: Environment, laptop: Laptop) -> None:
    pid = laptop.connect().document["daemon"]["pid"]
    ran = laptop.run("--stop", "frontend", "-o", "json")

    assert ran.document["stopped"] == pid
    environment.wait_until_nothing_runs()
    wait_until(lambda: not laptop.links(), "the link to end", timeout=5)


@pytest.mark.parametrize("shared_environment", ["docker", "ssh"], indirect=True)
def test_a_link_holds_no_sdk_that_its_scheme_does_not_need(laptop: Laptop) -> None:
    laptop.connect()
    (link,) = laptop.links()
    mapped = {os.path.basename(os.path.dirname(entry.path)) for entry in link.memory_maps()}  # noqa: PTH119, PTH120

    assert not {"nacl", "bcrypt", "cryptography"} & mapped
