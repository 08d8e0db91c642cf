"""The list of one environment, for each way in: asked when it can be, remembered when not, and never started."""

import re
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.waiting import wait_until
from tests.sessions.catalogue import ids, listed, make, multiply
from tests.survey.test_every_transport import told

HOSTILE = "\x1b]0;pwned\x07a title\nses_forged  local  another row\x9b2J"
COPIES, ALIKE, FEW = 2500, 1700, 250
"""More than two pages; and of one stamp more than a page, which OpenCode's own cursor cannot tell from each other.

Pages are the same whichever connection they come through: on one it is shown.
"""


def stamp(number: int) -> int:
    """An hour ago for many, and each second before that one."""
    hour_ago = int(time.time() - 3600) * 1000
    return hour_ago if number < ALIKE else hour_ago - 1000 * number


@pytest.mark.parametrize(
    ("environment", "count"), [("docker", COPIES), ("ssh", FEW)], indirect=["environment"]
)
def test_what_an_environment_has_is_listed_and_remembered(
    environment: Environment, laptop: Laptop, count: int
) -> None:
    daemon = laptop.connect()
    root = make(daemon, environment.workdir, title=HOSTILE)
    child = make(daemon, environment.workdir, title="a child", parentID=root)
    elsewhere = make(daemon, f"{environment.workdir}/packages", title="elsewhere")

    assert set(ids(listed(laptop)["sessions"])) == {root, elsewhere}
    with_children = {session["id"]: session for session in listed(laptop, "--all")["sessions"]}
    assert set(with_children) == {root, child, elsewhere}
    assert with_children[child]["parent"] == root
    assert {session["origin"] for session in with_children.values()} == {"frontend"}

    table = laptop.run("session", "list")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", table.stdout)
    assert len(table.stdout.splitlines()) == 3
    assert r"\x1b]0;pwned\x07a title ses_forged" in table.stdout

    copies = multiply(environment, elsewhere, [stamp(number) for number in range(count)])
    everything = {root, elsewhere, *copies}
    walked = ids(listed(laptop)["sessions"])
    assert len(walked) == len(everything)
    assert set(walked) == everything
    assert set(walked[:2]) == {elsewhere, root}  # in which order they were marked, too
    first = laptop.run("session", "list", "-n", "5")
    assert len(first.stdout.splitlines()) == 6
    assert f"{count - 3} more. To list all: -n 0" in first.stderr
    sessions = told(laptop)["sessions"]
    assert (sessions["count"], sessions["whole"]) == (len(everything), True)

    gone = copies[min(ALIKE, count // 2)]
    daemon.request("DELETE", f"/session/{gone}")
    laptop.run("--disconnect", "frontend")
    dialled = listed(laptop)
    (asked,) = [each for each in dialled["environments"] if "frontend" in each["names"]]
    if not environment.answers:
        assert set(ids(dialled["sessions"])) == everything - {gone}
        assert (asked["state"], asked["whole"]) == ("running", True)
    assert not laptop.links()

    laptop.run("--stop", "frontend")
    environment.wait_until_nothing_runs()
    remembered = listed(laptop)
    (asked,) = [each for each in remembered["environments"] if "frontend" in each["names"]]
    assert asked["state"] == "stopped"
    assert set(ids(remembered["sessions"])) == everything - {gone}
    assert not any(session["live"] for session in remembered["sessions"])
    assert set(ids(listed(laptop, "--offline")["sessions"])) == everything - {gone}
    assert ids(listed(laptop, "--search", "COPY 249", "--offline")["sessions"]) == [
        copies[249],
        *copies[2490:],  # of many
    ]
    stopped = laptop.run("session", "list", "-n", "1")
    assert "frontend is stopped, sessions as of" in stopped.stderr.replace(
        "frontend, local is", "frontend is"
    )
    assert told(laptop)["sessions"]["count"] == len(everything) - 1
    environment.wait_until_nothing_runs()


def activity(laptop: Laptop, session: str) -> Any:
    """What the list says of it."""
    return {each["id"]: each["state"] for each in listed(laptop)["sessions"]}[session]


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_what_sessions_do_is_told_of_each_and_of_their_environment(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    ask = [{"permission": "bash", "pattern": "*", "action": "ask"}]
    prompts = {"busy": "!slow 60", "waiting": "!bash echo hi", "retrying": "!error 503", "idle": "hello"}
    sessions = {what: make(daemon, environment.workdir, permission=ask) for what in prompts}
    daemon.prompt(sessions["idle"], prompts.pop("idle"))
    for what, text in prompts.items():
        body = {"parts": [{"type": "text", "text": text}]}
        daemon.request("POST", f"/session/{sessions[what]}/prompt_async", body)

    for what, session in sessions.items():
        wait_until(lambda s=session, w=what: activity(laptop, s) == w, f"it to be seen {what}")  # type: ignore[misc]
    state = told(laptop)
    assert state["state"] == "waiting"
    assert state["doing"] == {"busy": 1, "waiting": 1, "retrying": 1}
    assert state["sessions"]["cost"] > 0

    stats = laptop.run("session", "stats", "-o", "json").document
    (row,) = [row for row in stats["stats"] if row["tokens"]["input"]]
    assert (row["origin"], row["provider"], row["model"]) == ("frontend", "fake", "fake-1")
    _, idle = daemon.request("GET", f"/session/{sessions['idle']}")
    assert row["cost"] == pytest.approx(idle["cost"])
    assert stats["total"]["sessions"] == len(sessions)


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_the_first_ones_are_all_there_also_where_others_have_come_or_gone_unheard(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    newest = make(daemon, environment.workdir)
    before = int(time.time() * 1000) - 60_000
    copies = multiply(environment, newest, [before - 1000 * number for number in range(20)])
    assert ids(listed(laptop, "-n", "5")["sessions"]) == [newest, *copies[:4]]
    assert ids(listed(laptop, "-n", "5")["sessions"]) == [newest, *copies[:4]]

    take_away(environment, copies[:3])
    document = listed(laptop, "-n", "5")
    assert ids(document["sessions"]) == [newest, *copies[3:7]]
    assert all(session["live"] for session in document["sessions"])
    newer = make(daemon, environment.workdir)
    assert ids(listed(laptop, "-n", "5")["sessions"]) == [newer, newest, *copies[3:6]]

    laptop.run("--stop", "frontend")
    take_away(environment, [newest, *copies[3:5]])
    document = listed(laptop, "-n", "5", "--search", "copy")
    assert ids(document["sessions"]) == copies[5:10]
    assert ids(listed(laptop, "-n", "5")["sessions"]) == [newer, *copies[5:9]]


def take_away(environment: Environment, sessions: Sequence[str]) -> None:
    """Delete sessions as another program does that shares the database: no event tells of it."""
    with closing(
        sqlite3.connect(
            environment.home / ".local/share/opencode/opencode.db", timeout=30, isolation_level=None
        )
    ) as connection:
        connection.executemany("DELETE FROM session WHERE id = ?", [(session,) for session in sessions])


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_two_names_of_one_environment_share_its_sessions_by_their_directories(
    environment: Environment, laptop: Laptop
) -> None:
    work = environment.workdir
    laptop.save("deep", workdir=f"{work}/packages/api")
    laptop.save("far", workdir="/srv")
    daemon = laptop.connect()
    made = {
        make(daemon, work): "frontend",
        make(daemon, f"{work}/packages"): "frontend",
        make(daemon, f"{work}/packages/api/src"): "deep",
        make(daemon, "/opt"): "local",
        make(daemon, work, metadata={"origin": "somebody"}): "frontend",  # no connection has that name
    }

    found = listed(laptop)["sessions"]
    assert {session["id"]: session["origin"] for session in found} == made
    assert len(found) == len(made)
    assert {session["origin"] for session in listed(laptop, "--origin", "deep")["sessions"]} == {"deep"}
    whole = listed(laptop, "--origin", "deep", "--all-directories")["sessions"]
    assert set(ids(whole)) == set(made)
    counted = {name: told_of(laptop, name)["sessions"]["count"] for name in ("frontend", "deep", "far")}
    assert counted == {"frontend": 3, "deep": 1, "far": 0}

    (laptop.config / "connections/deep.yaml").rename(laptop.config / "connections/deeper.yaml")
    laptop.run("--stop", "frontend")
    assert ids(listed(laptop, "--origin", "deeper")["sessions"]) == [
        session for session, origin in made.items() if origin == "deep"
    ]


def told_of(laptop: Laptop, name: str) -> dict[str, Any]:
    """What `--status` says of a connection."""
    (environment,) = laptop.run("--status", name, "-o", "json").document["environments"]
    assert isinstance(environment, dict)
    return environment
