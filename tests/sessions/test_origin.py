"""Sessions of real daemons know where they began, and are found and used by their ids alone."""

import json
import re
import signal
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.environments import Environment
from tests.main_job.conftest import laptop
from tests.main_job.laptop import Daemon, Laptop
from tests.main_job.test_terminal import READY, TUI_SECONDS, leave, terminal
from tests.rigs.waiting import wait_until
from tests.sessions.workshop import ASK_TWO_QUESTIONS

__all__ = ["laptop"]

UNKNOWN = "ses_00000000000000000000000000"


def exported_there(environment: Environment, session: str) -> dict[str, Any]:
    """What `opencode export` prints in the environment."""
    with environment.handler() as handler:
        program = handler.probe().opencode
        assert program
        ran = handler.run([program, "export", session], timeout=60)
    exported: dict[str, Any] = json.loads(ran.stdout)
    return exported


def metadata(daemon: Daemon, session: str) -> Mapping[str, Any]:
    """A session's metadata, once it says where that began."""

    def read() -> Mapping[str, Any] | None:
        _, content = daemon.request("GET", f"/session/{session}")
        found: Mapping[str, Any] = content.get("metadata") or {}
        return found if "origin" in found else None

    return wait_until(read, f"the origin of {session}")


def events_of(laptop: Laptop, session: str) -> list[dict[str, Any]]:
    """What a reader that begins where the first one would have is told of a session, until that has ended."""
    found: list[dict[str, Any]] = []
    with laptop.start("events", "frontend", "--since-last", "--session", session) as reading:
        assert reading.stdout
        for line in reading.stdout:
            found.append(json.loads(line))
            if found[-1]["event"] == "session-end":
                break
        reading.send_signal(signal.SIGINT)
        _, stderr = reading.communicate(timeout=20)
    assert (reading.returncode, stderr.strip()) == (130, "")
    return found


def outputs(parts: list[dict[str, Any]]) -> list[str]:
    """What tools have printed."""
    return [part["state"]["output"].strip() for part in parts if part["type"] == "tool"]


def remembered(laptop: Laptop) -> set[str]:
    """The ids in the index."""
    with closing(sqlite3.connect(laptop.state / "sessions.db", isolation_level=None)) as connection:
        return {identifier for (identifier,) in connection.execute("SELECT id FROM sessions")}


@pytest.mark.parametrize("environment", ["docker", "ssh"], indirect=True)
def test_a_session_knows_where_it_began_and_so_does_the_agents_shell(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    session = daemon.make_session()
    parts = daemon.prompt(session, "!bash echo $OCATTACH_ORIGIN; env | grep -c ses_")

    assert outputs(parts) == ["frontend\n0"]  # no variable of 1.18.33 tells a shell its session
    found = metadata(daemon, session)
    assert found["origin"] == "frontend"
    there = exported_there(environment, session)
    assert there["info"]["metadata"] == found
    here = laptop.run("session", "export", session).document
    assert here == there
    laptop.save("renamed")
    again = laptop.connect("renamed")
    other = again.make_session()
    assert metadata(again, other) == {**found, "origin": "renamed"}
    wait_until(lambda: {session, other} <= remembered(laptop), "both to be remembered")

    waited = laptop.run("wait", session, "-o", "json")
    assert (waited.document["state"], waited.document["session"]["id"]) == ("idle", session)
    events = events_of(laptop, session)
    assert [each["event"] for each in events] == [
        *("session-start", "prompt", "tool-start", "tool-end", "answer", "session-end")
    ]
    assert {(each["environment"], each["origin"], each["cwd"]) for each in events[1:]} == {
        ("frontend", "frontend", environment.workdir)
    }
    assert (events[3]["stdout"], events[3]["exit_code"]) == ("frontend\n0\n", 1)


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_a_session_of_the_tui_is_opened_again_where_it_lives_also_after_its_daemon_has_ended(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    with terminal(laptop, workdir, "frontend") as opened:
        opened.wait_for(READY, timeout=TUI_SECONDS)
        opened.send_text("hello from the terminal")
        opened.wait_for("hello from the terminal")
        opened.send_keys("Enter")
        opened.wait_for("You said: hello from the terminal", timeout=TUI_SECONDS)
        assert leave(opened) == 0
    daemon = laptop.connect()
    _, (session,) = daemon.request("GET", "/session")
    assert metadata(daemon, session["id"])["origin"] == "frontend"
    wait_until(lambda: session["id"] in remembered(laptop), "it to be remembered")
    assert laptop.run("session", "open", session["id"], "--print-url").stdout.startswith("http://127.0.0.1:")
    laptop.run("--stop", "frontend")
    environment.wait_until_nothing_runs()
    refused = laptop.run("session", "export", session["id"])
    assert refused.exit_code == 6
    assert f"ocattach session open {session['id']}" in refused.stderr
    environment.wait_until_nothing_runs()
    laptop.save("elsewhere", workdir="/tmp")  # noqa: S108
    with terminal(laptop, workdir, "session", "open", session["id"]) as opened:
        opened.wait_for("You said: hello from the terminal", timeout=TUI_SECONDS)
        opened.send_text("!echo at-$PWD")  # the TUI's own way to a shell
        opened.wait_for("echo at-")
        opened.send_keys("Enter")
        opened.wait_for(f"at-{environment.workdir}", timeout=TUI_SECONDS)
        assert leave(opened) == 0


def is_greeted_by_what_waits(laptop: Laptop, workdir: Path, session: str) -> None:
    """The TUI shows what waits, also of before the link; a warm attach prints the command that opens it first."""
    command = f"1 session waits for you: ocattach session open {session}"
    program = workdir / "stub/opencode"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 1.18.33\n")
    program.chmod(0o755)
    with terminal(laptop, workdir, "frontend", PATH=f"{program.parent}:{laptop.variables['PATH']}") as opened:
        assert opened.wait_for_exit() == 0
        assert f"! {command}" in opened.screen()
    with terminal(
        laptop, workdir, "frontend", "-s", session, PATH=f"{program.parent}:{laptop.variables['PATH']}"
    ) as opened:
        assert opened.wait_for_exit() == 0
        assert "waits for you" not in opened.screen()

    assert laptop.run("--disconnect", "frontend").exit_code == 0
    with terminal(laptop, workdir, "frontend") as opened:
        opened.wait_for(re.compile(r"Connected to frontend\. 1 session\W+waits for you"), timeout=TUI_SECONDS)
        assert leave(opened) == 0


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_what_a_session_waits_for_is_found_and_answered_and_a_session_broken_off_and_deleted(  # noqa: PLR0915
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    (laptop.config / "config.yaml").write_text("session_variables: [OTHERS_SESSION_ID, OCATTACH_ORIGIN]\n")
    laptop.save(env={"npm_config_offline": "true"})  # or the first plugin waits for the registry
    daemon = laptop.connect()
    session = daemon.make_session()
    told = daemon.prompt(session, "!bash echo $OCATTACH_SESSION $OTHERS_SESSION_ID $OCATTACH_ORIGIN")
    assert outputs(told) == [f"{session} {session} frontend"]
    ask(daemon, session, "!read /etc/passwd")

    def waiting(kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = laptop.run("session", "waiting", "-o", "json").document[kind]
        return found

    (waits,) = wait_until(lambda: waiting("permissions"), "it to wait for a permission", interval=0.2)
    assert (waits["permission"], waits["session"]["id"]) == ("external_directory", session)
    assert waits["session"]["origin"] == "frontend"
    assert waits["id"] in laptop.run("session", "permissions", "frontend").stdout
    assert laptop.run("session", "reply", "per_0123", "once").exit_code == 3
    replied = laptop.run("session", "reply", waits["id"], "reject", "-o", "json")
    assert replied.document["session"] == session
    where = quote(environment.workdir, safe="")
    wait_until(lambda: daemon.request("GET", f"/permission?directory={where}")[1] == [], "it to be answered")

    asking = daemon.make_session()
    ask(daemon, asking, ASK_TWO_QUESTIONS)
    (waits,) = wait_until(lambda: waiting("questions"), "it to ask", interval=0.2)
    assert (waits["questions"][1]["multiple"], waits["session"]["id"]) == (True, asking)
    assert laptop.run("session", "list", "-o", "json").document["sessions"][0]["state"] == "waiting"
    assert "Which colour? (red | blue)" in laptop.run("session", "waiting", "frontend").stdout
    is_greeted_by_what_waits(laptop, workdir, asking)
    assert laptop.run("session", "answer", waits["id"], "red").exit_code == 2
    assert laptop.run("session", "answer", waits["id"], "--reject").exit_code == 0
    wait_until(lambda: daemon.request("GET", f"/question?directory={where}")[1] == [], "it to be rejected")

    other = daemon.make_session()
    ask(daemon, other, "!slow 60")
    wait_until(lambda: other in daemon.request("GET", f"/session/status?directory={where}")[1], "it to work")
    assert laptop.run("session", "abort", other, "-o", "json").document["aborted"] is True
    wait_until(lambda: other not in daemon.request("GET", f"/session/status?directory={where}")[1], "its end")
    assert laptop.run("session", "abort", UNKNOWN).exit_code == 3

    wait_until(lambda: other in remembered(laptop), "it to be remembered")
    kept = laptop.run("session", "delete", other)
    assert (kept.exit_code, daemon.request("GET", f"/session/{other}")[0]) == (2, 200)
    assert f"{other} --yes" in kept.stderr
    with terminal(laptop, workdir, "session", "delete", other) as asked:
        asked.wait_for("in frontend? [y/n]:")
        asked.send_text("n")
        asked.send_keys("Enter")
        assert (asked.wait_for_exit(), daemon.request("GET", f"/session/{other}")[0]) == (130, 200)
    deleted = laptop.run("session", "delete", other, "--yes", "-o", "json")
    assert deleted.document["deleted"]["id"] == other
    assert daemon.request("GET", f"/session/{other}")[0] == 404
    assert other not in remembered(laptop)
    exported = laptop.run("session", "export", session[:-1]).document
    assert exported["info"]["id"] == session
    assert laptop.run("session", "open", "../etc").exit_code == 2
    typed = {"COMP_WORDS": f"ocattach session export {session[:-4]}", "COMP_CWORD": "3"}
    completed = laptop.run(variables={"_OCATTACH_COMPLETE": "bash_complete", **typed})
    assert completed.stdout.strip() == f"plain,{session}"


def ask(daemon: Daemon, session: str, text: str) -> None:
    """A prompt whose answer is not waited for."""
    daemon.request("POST", f"/session/{session}/prompt_async", {"parts": [{"type": "text", "text": text}]})
