"""What is listed where nobody can be asked, and how it is said."""

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from ocattach.cli import tables
from ocattach.cli.amounts import ago
from ocattach.cli.session import list as list_module
from ocattach.errors import SessionNotFoundError, UsageError
from ocattach.opencode.activity import Activity
from ocattach.sessions.index.rows import Covered
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from ocattach.survey.session_list import ListedSession
from tests.survey.desk import Desk
from tests.survey.test_states import silent_host

DAY = 24 * 3600


def remember(desk: Desk, *sessions: Session, environment: str = "www") -> None:
    """Put sessions into the desk's index, as if an environment had told them an hour ago."""
    asked = time.time() - 3600
    with Index(desk.state / "sessions.db") as index:
        index.put(sessions, environment, asked, covered=Covered(children=True, began=asked))


def session(number: int, **more: Any) -> Session:
    """A session that was updated so many minutes ago."""
    updated = int((time.time() - 60 * number) * 1000)
    values = {"origin": "www", "is_native": True, "title": f"number {number}", **more}
    return Session(id=f"ses_{number}", environment="www", updated=updated, **values)


def test_ages_are_those_of_the_request() -> None:
    ages = {
        5: "now",
        120: "2 min ago",
        3600: "1 hour ago",
        3 * 3600: "3 hours ago",
        DAY: "1 day ago",
        3 * DAY: "3 days ago",
        20 * DAY: "20 days ago",
        22 * DAY: "3 weeks ago",
        800 * DAY: "2 years ago",
    }
    assert {age: ago(1e9 - age, now=1e9) for age in ages} == ages


def test_a_table_has_the_first_fifty_and_says_how_to_see_the_others(desk: Desk) -> None:
    remember(desk, *(session(number, cost=0.5) for number in range(70)), session(1000, parent="ses_3"))

    ran = desk.run("session", "list", "--offline")
    head, *rows = ran.stdout.splitlines()
    assert [line.split()[0] for line in rows] == [f"ses_{number}" for number in range(50)]
    assert head.split() == ["ID", "State", "Origin", "Title", "Updated", "Cost", "Known"]
    assert rows[3].split("  ")[-1].strip() == "1 hour ago"
    assert "20 more. To list all: -n 0" in ran.stderr
    assert len(desk.run("session", "list", "--offline", "-n", "0").stdout.splitlines()) == 71
    lines = desk.run("session", "list", "--offline", "-o", "jsonl").stdout.splitlines()
    assert len([json.loads(line) for line in lines]) == 70
    assert len(desk.run("session", "list", "--offline", "--all", "-o", "jsonl").stdout.splitlines()) == 71
    late = desk.run("session", "list", "--offline", "--since", "10min", "-o", "json")
    assert len(json.loads(late.stdout)["sessions"]) == 10


def test_a_list_without_sessions_on_a_terminal_names_the_command_that_makes_one(desk: Desk) -> None:
    with desk.terminal("session", "list", "--offline") as opened:
        opened.wait_for("ocattach session send NAME")
        assert opened.wait_for_exit() == 0


def test_a_name_that_no_connection_has_is_answered_with_one_that_is_like_it(desk: Desk) -> None:
    desk.save("frontend", {"transport": "docker", "container": "app"})

    ran = desk.run("session", "list", "--offline", "--origin", "fronted")

    assert "! No connection is named fronted. Did you mean frontend?" in ran.stderr


def test_without_an_id_one_of_the_latest_sessions_is_chosen(desk: Desk) -> None:
    remember(desk, session(1), session(2, title="the other\x1b[2J"))

    with desk.terminal("session", "open") as opened:
        opened.wait_for("Open session:")
        opened.wait_for("number 1")
        opened.send_text("other")
        opened.wait_for("1 of 2")
        opened.send_keys("Enter")
        assert opened.wait_for_exit() == SessionNotFoundError.exit_code
        assert "ses_2 was not found" in opened.screen()
    assert desk.run("session", "open").returncode == UsageError.exit_code


def test_those_that_wait_for_a_person_are_first_and_marked_and_states_are_seen_at_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [
        ListedSession(session(number), 1.0, is_live=True, activity=activity)
        for number, activity in enumerate((Activity.BUSY, Activity.IDLE, Activity.WAITING))
    ]
    monkeypatch.setattr(tables, "terminal_width", lambda _: 80)
    monkeypatch.setattr(tables, "has_colours", lambda _: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    list_module.print_sessions(listed)

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("\x1b[1mID")
    assert [row.split()[1] for row in rows] == ["waiting", "busy", "idle"]
    assert [row.startswith("\x1b[33m") for row in rows] == [True, False, False]


def test_nothing_that_an_environment_says_drives_the_terminal_or_makes_a_row(desk: Desk) -> None:
    hostile = "\x1b]0;pwned\x07\nses_0 x\u202e\x9b2J"
    remember(
        desk, session(1, title=hostile, origin=hostile, directory=hostile, model=hostile, provider=hostile)
    )

    for arguments in (("list", "--offline"), ("stats", "--offline")):
        ran = desk.run("session", *arguments)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ran.stdout + ran.stderr)
        assert len(ran.stdout.splitlines()) == 2


def test_what_others_define_is_not_asked_before_it_is_approved(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        entry = {"transport": "http", "url": f"http://127.0.0.1:{server.getsockname()[1]}"}
        (desk.home / "opencode.json").write_text(json.dumps({"environments": {"www": entry}}))
        document = json.loads(desk.run("session", "list", "-o", "json").stdout)
        try:
            server.accept()
        except BlockingIOError:
            dialled = False
        else:
            dialled = True

    assert not dialled
    states = {each["names"][0]: (each["state"], each["error"]["code"]) for each in document["environments"]}
    assert states == {"www": ("untrusted", "not-trusted"), "local": ("stopped", "daemon-not-running")}


def test_who_does_not_answer_is_a_line_and_no_failure(desk: Desk) -> None:
    with silent_host() as port:
        desk.save("dead", {"transport": "http", "url": f"http://127.0.0.1:{port}"})
        remember(desk, session(1))
        ran = desk.run("session", "list", "--timeout", "3")

    assert ran.returncode == 0
    assert "ses_1" in ran.stdout
    assert "dead is unreachable, its sessions are unknown" in ran.stderr


@pytest.mark.parametrize("command", ["list", "waiting"])
def test_those_who_do_not_answer_are_one_line_of_a_terminal(desk: Desk, command: str) -> None:
    for name in ("dead", "gone"):
        desk.save(name, {"transport": "docker", "container": name, "host": f"unix:///none/{'x' * 80}/{name}"})
    with desk.terminal("session", command, width=100) as opened:
        assert opened.wait_for_exit() == 0
        screen = opened.screen().splitlines()

    what = (
        "Not current: dead (unreachable), gone (unreachable)"
        if command == "list"
        else "Not queried: dead, gone"
    )
    assert screen[1:] == [f"! {what}. Reasons: ocattach --status"]


def test_a_damaged_index_is_made_anew_and_said(desk: Desk) -> None:
    remember(desk, session(1))
    Path(desk.state, "sessions.db").write_bytes(b"\0" * 9000)

    ran = desk.run("session", "list")
    assert ran.returncode == 0
    assert "The index was damaged and is rebuilt" in ran.stderr
    assert "damaged" not in desk.run("session", "list").stderr


def test_a_damaged_index_is_said_by_who_counts_by_it(desk: Desk) -> None:
    desk.state.mkdir(parents=True, exist_ok=True)
    (desk.state / "sessions.db").write_bytes(b"no database" * 1000)

    ran = desk.run("--status", "local")

    assert "The index was damaged and is rebuilt" in ran.stderr
    assert "damaged" not in desk.run("--status", "local").stderr


def test_a_span_that_is_none_is_a_slip(desk: Desk) -> None:
    ran = desk.run("session", "list", "--since", "soon")
    assert ran.returncode == 2
    assert "--since 2d" in ran.stderr


def test_the_commands_are_told_and_none_is_loaded_for_it(desk: Desk) -> None:
    ran = desk.run("session", "--help")
    assert ran.returncode == 0
    assert all(name in ran.stdout for name in ("list", "show", "send", "open", "export", "stats"))
    desk.variables |= {
        "_OCATTACH_COMPLETE": "bash_complete",
        "COMP_WORDS": "ocattach session s",
        "COMP_CWORD": "2",
    }
    assert desk.run().stdout.split() == ["plain,show", "plain,send", "plain,stats"]


def test_totals_are_added_up_by_origin_and_model(desk: Desk) -> None:
    remember(
        desk,
        session(1, cost=1.0, model="a", provider="p"),
        session(2, cost=2.0, model="a", provider="p", parent="ses_1"),
        session(3, cost=0.5, model="b", provider="p"),
        session(4, cost=0.25, origin="api"),
    )
    document = json.loads(desk.run("session", "stats", "--offline", "-o", "json").stdout)
    rows = [(row["origin"], row["model"], row["sessions"], row["cost"]) for row in document["stats"]]
    assert rows == [("www", "a", 2, 3.0), ("www", "b", 1, 0.5), ("api", "", 1, 0.25)]
    assert document["total"]["cost"] == 3.75
    one = json.loads(desk.run("session", "stats", "--offline", "--origin", "api", "-o", "json").stdout)
    assert [row["origin"] for row in one["stats"]] == ["api"]
    late = json.loads(desk.run("session", "stats", "--offline", "--since", "90s", "-o", "json").stdout)
    assert late["total"]["cost"] == 1.0
