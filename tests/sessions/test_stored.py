"""Sessions of a plain `opencode` on this machine, which starts no daemon: they are listed, counted and found, too."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Daemon, Laptop
from tests.sessions.catalogue import listed, make
from tests.sessions.test_every_transport import told_of

pytestmark = pytest.mark.parametrize("environment", ["local"], indirect=True)

TOLD = (
    "id",
    "environment",
    "title",
    "directory",
    "project",
    "parent",
    "cost",
    "tokens",
    "model",
    "provider",
    "agent",
)
"""What a daemon says of the same sessions; a mark of where they began is made by it alone."""


def plain(environment: Environment, text: str) -> None:
    """Ask something with OpenCode's own program, in the working directory."""
    subprocess.run(
        ["opencode", "run", text],
        cwd=environment.workdir,
        env={**environment.variables, "PWD": environment.workdir},  # it goes by this, as a shell sets it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=120,
    )


def by_title(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The listed sessions."""
    return {session["title"]: session for session in document["sessions"]}


def database(environment: Environment) -> Path:
    """Where this OpenCode keeps them."""
    return environment.home / ".local/share/opencode/opencode.db"


def test_what_a_plain_opencode_has_made_is_listed_as_a_daemon_would_tell_it(
    environment: Environment, laptop: Laptop
) -> None:
    plain(environment, "hello-from-a-plain-one")
    document = listed(laptop)
    (before,) = document["sessions"]
    (source,) = [each for each in document["environments"] if "frontend" in each["names"]]

    assert (before["origin"], before["live"]) == ("frontend", True)
    assert (source["state"], source["whole"], source["error"]) == ("stopped", True, None)
    assert told_of(laptop, "frontend")["sessions"]["count"] == 1
    assert laptop.run("session", "list").stderr == ""
    shown = laptop.run("session", "export", before["id"])
    assert (shown.exit_code, "ocattach session open" in shown.stderr) == (6, True)
    environment.wait_until_nothing_runs()

    daemon = laptop.connect()
    make(daemon, environment.workdir, parentID=before["id"], title="a child")
    make(daemon, "/opt", title="elsewhere")
    archived = make(daemon, environment.workdir, title="put away")
    assert daemon.request("PATCH", f"/session/{archived}", {"time": {"archived": 1}})[0] == 200
    told = [by_title(listed(laptop, *options)) for options in ((), ("--all",), ("--search", "ELSE"))]
    laptop.run("--stop", "frontend")
    stored = [by_title(listed(laptop, *options)) for options in ((), ("--all",), ("--search", "ELSE"))]

    assert [set(each) for each in stored] == [set(each) for each in told]
    assert len(told[1]) == len(told[0]) + 2
    for title, session in told[1].items():
        assert {name: stored[1][title][name] for name in TOLD} == {name: session[name] for name in TOLD}
    environment.wait_until_nothing_runs()


def test_what_is_gone_from_there_is_forgotten_also_where_it_was_all_there_was(
    environment: Environment, laptop: Laptop
) -> None:
    plain(environment, "hello")
    assert len(listed(laptop)["sessions"]) == 1
    with closing(sqlite3.connect(database(environment), isolation_level=None)) as connection:
        connection.execute("DELETE FROM session")

    assert listed(laptop, "-n", "1")["sessions"] == []
    assert listed(laptop, "--offline")["sessions"] == []
    assert told_of(laptop, "frontend")["sessions"]["count"] == 0


def test_a_session_is_found_by_its_id_before_it_was_ever_listed(
    environment: Environment, laptop: Laptop
) -> None:
    plain(environment, "hello")
    with closing(sqlite3.connect(database(environment), isolation_level=None)) as connection:
        ((session,),) = connection.execute("SELECT id FROM session").fetchall()

    shown = laptop.run("session", "show", session)

    assert shown.exit_code == 0, shown.stderr
    assert "Environment frontend" in shown.stdout
    assert "No daemon runs" in shown.stderr


@pytest.mark.parametrize("content", ["", "no database", "CREATE TABLE session (id TEXT)"])
def test_a_file_of_another_version_is_as_good_as_none(
    environment: Environment, laptop: Laptop, content: str
) -> None:
    file = database(environment)
    file.parent.mkdir(parents=True, exist_ok=True)
    if content.startswith("CREATE"):
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(content)
    else:
        file.write_text(content)

    assert listed(laptop)["sessions"] == []
    assert "opencode.db" not in laptop.run("session", "list").stderr
    file.unlink()


def test_columns_that_an_older_version_has_not_count_as_not_told(
    environment: Environment, laptop: Laptop
) -> None:
    daemon: Daemon = laptop.connect()
    session = make(daemon, environment.workdir, title="as it was")
    laptop.run("--stop", "frontend")
    laptop.run("--disconnect", "--all")
    with closing(sqlite3.connect(database(environment), isolation_level=None)) as connection:
        for column in ("metadata", "cost", "tokens_input", "model"):
            connection.execute(f"ALTER TABLE session DROP COLUMN {column}")

    (found,) = listed(laptop)["sessions"]
    assert (found["id"], found["title"], found["live"]) == (session, "as it was", True)
