"""`--status` as people and scripts see it."""

import json
import re

import pytest

from ocattach.sessions.index import index_file
from ocattach.sessions.index.store import Index
from tests.survey.desk import Desk
from tests.survey.test_states import silent_host

TITLES = ["Name", "State", "Version", "Port", "Sessions", "Link", "Known", "Cost", "Target", "Reason"]


def columns(text: str) -> list[list[str]]:
    """The cells of aligned columns, by where the titles stand."""
    head, *lines = text.splitlines()
    starts = [head.index(title) for title in TITLES]
    ends = [*starts[1:], None]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines]


def test_a_pipe_gets_plain_aligned_columns_and_nothing_is_cut(desk: Desk) -> None:
    desk.save("here", {"transport": "local", "workdir": "/" + "long/" * 60})
    desk.save("a-name-that-is-rather-long", {"transport": "http", "url": "http://127.0.0.1:9"})

    ran = desk.run("--status")

    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout
    first, second = columns(ran.stdout)
    assert first[:2] == ["a-name-that-is-rather-long", "stopped"]
    assert "connection refused" in first[-1]
    assert second[0] == "here"
    assert "long/" * 59 in second[-2]
    assert second[TITLES.index("Known")] == "now"


def test_only_what_was_named_is_asked_in_that_order_and_uris_too(desk: Desk) -> None:
    for name in ("one", "two", "three"):
        desk.save(name, {"transport": "local"})

    document = desk.ask("three", "local:///tmp", "one", "three").document

    assert [each["name"] or each["uri"] for each in document["environments"]] == [
        "three",
        "local:///tmp",
        "one",
    ]
    assert document["schema"] == 1


def test_a_name_that_nobody_knows_is_no_survey(desk: Desk) -> None:
    desk.save("frontend", {"transport": "local"})
    ran = desk.run("--status", "fronted", "-o", "json")

    assert ran.returncode == 3
    assert "Did you mean frontend?" in json.loads(ran.stdout)["error"]["hint"]


def test_without_connections_the_first_step_is_told(desk: Desk) -> None:
    ran = desk.run("--status")

    assert (ran.returncode, ran.stdout) == (0, "")
    assert "ocattach --save NAME" in ran.stderr
    assert desk.ask().document["environments"] == []


@pytest.mark.parametrize(
    "arguments", [("--status", "--watch"), ("--status", "--watch", "-o", "json"), ("frontend", "--watch")]
)
def test_a_watch_needs_a_terminal_and_a_status(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.save("frontend", {"transport": "local"})

    assert desk.run(*arguments).returncode == 2


def test_several_names_are_not_for_attaching(desk: Desk) -> None:
    ran = desk.run("one", "two")

    assert ran.returncode == 2
    assert "Only one connection can be given" in ran.stderr


def test_nothing_that_was_defined_by_others_drives_the_terminal(desk: Desk) -> None:
    entry = {"transport": "http", "url": "http://127.0.0.1:9/\x1b]0;pwned\x07"}
    (desk.home / "opencode.json").write_text(
        json.dumps({"environments": {"www": entry, "ok": {"transport": "local"}}})
    )

    ran = desk.run("--status")

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", ran.stdout + ran.stderr)


def test_on_a_terminal_rows_fill_in_as_they_come_and_are_coloured_by_state(desk: Desk) -> None:
    with silent_host() as port:
        desk.save("dead", {"transport": "ssh", "host": "127.0.0.1", "port": port})
        desk.save("here", {"transport": "local"})
        with desk.terminal("--status", "--timeout", "4") as opened:
            early = opened.wait_for(re.compile(r"here +stopped"))
            assert re.search(r"dead +checking", early)
            opened.wait_for(re.compile(r"dead +unreachable"))
            assert opened.wait_for_exit() == 0
            assert opened.screen().count("here ") == 1
            coloured = opened._tmux("capture-pane", "-p", "-e")
    assert re.search(r"\x1b\[31munreachable", coloured)


def test_no_colour_where_it_is_not_wanted(desk: Desk) -> None:
    desk.save("nowhere", {"transport": "docker", "container": "x", "host": "unix:///nowhere"})
    desk.variables["NO_COLOR"] = "1"
    with desk.terminal("--status") as opened:
        opened.wait_for(re.compile(r"nowhere +unreachable"))
        assert opened.wait_for_exit() == 0
        assert "\x1b[31m" not in opened._tmux("capture-pane", "-p", "-e")


def test_the_stored_statuses_hold_no_secret(desk: Desk) -> None:
    desk.save("here", {"transport": "local", "env": {"TOKEN": "hunter2"}})
    desk.ask()

    with Index(index_file(desk.state)) as index:
        (status,) = index.statuses().values()
    assert status.state == "stopped"
    assert index.path.stat().st_mode & 0o77 == 0
    assert b"hunter2" not in index.path.read_bytes()
