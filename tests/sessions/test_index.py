"""The index by itself: many processes write it, each may be killed, and the file may be anything."""

import random
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Covered, LastStatus, Tally, Wanted
from ocattach.sessions.index.schema import STEPS, VERSION, migrate, version_of
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from tests.sessions.writer import AT_ONCE, sessions

OPEN_AND_CLOSE = """
import pathlib, sys
from ocattach.sessions.index.store import Index
with Index(pathlib.Path(sys.argv[1])):
    pass
"""
WRITERS, KILLS = 10, 15
NAMES = [f"env{number}" for number in range(WRITERS)]


@contextmanager
def writers(file: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Ten processes that write into one index, each of which has begun."""
    running = {name: start_writer(file, name) for name in NAMES}
    try:
        for process in running.values():
            await_begin(process)
        yield running
    finally:
        for process in running.values():
            end(process)


def start_writer(file: Path, name: str) -> subprocess.Popen[str]:
    """One of them."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sessions.writer", str(file), name], stdout=subprocess.PIPE, text=True
    )


def await_begin(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert process.stdout.readline() == "writing\n", "it ended by an error of its own"


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_ten_write_at_once_and_are_killed_and_no_half_of_anything_is_ever_there(workdir: Path) -> None:
    file = workdir / "state/sessions.db"
    with writers(file) as running:
        for _ in range(KILLS):
            name = random.choice(NAMES)  # noqa: S311
            assert running[name].poll() is None, "it ended by an error of its own"
            end(running[name])
            with Index(file) as index:
                counted = {origin: tally for (_, origin), tally in index.tallies().items()}
                assert index.put_aside is None
            assert {tally.roots for tally in counted.values()} <= {AT_ONCE, AT_ONCE // 2}
            running[name] = start_writer(file, name)
            await_begin(running[name])

    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        truth = "SELECT origin, count(*), sum(cost) FROM sessions GROUP BY origin ORDER BY origin"
        added_up = "SELECT origin, sessions, cost FROM tallies ORDER BY origin"
        assert connection.execute(truth).fetchall() == connection.execute(added_up).fetchall()
    assert not list(file.parent.glob("*.damaged-*"))


def test_a_process_that_closes_it_does_not_take_away_what_threads_of_another_still_use(workdir: Path) -> None:
    file = workdir / "state/sessions.db"
    with Index(file) as index:
        index.put(sessions("first", 1), "first", 1.0)
        with Index(file):
            pass
        subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, str(file)], check=True)

        assert file.with_name("sessions.db-wal").exists()


def test_it_is_for_its_owner_alone_and_says_nothing_of_what_was_said(workdir: Path) -> None:
    file = workdir / "state/sessions.db"
    with Index(file) as index:
        index.put(sessions("web", 3), "web", 1.0)
        modes = {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()}
        assert modes == {0o600}
    with closing(sqlite3.connect(file)) as connection:
        names = {row[1] for row in connection.execute("PRAGMA table_info(sessions)")}
    assert not names & {"text", "message", "messages", "parts", "summary"}


def overwrite(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1000)


def cut_in_half(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def spoil_the_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    file.write_bytes(content)


def take_the_tables(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE sessions")


@pytest.mark.parametrize("damage", [overwrite, cut_in_half, spoil_the_middle, take_the_tables])
def test_a_damaged_one_is_put_aside_and_a_new_one_begun(workdir: Path, damage: object) -> None:
    file = workdir / "state/sessions.db"
    with Index(file) as index:
        index.put(sessions("web", 300), "web", 1.0)
    assert callable(damage)
    damage(file)

    with Index(file) as index:
        index.latest(Wanted(), limit=None)
        index.put(sessions("web", 2), "web", 2.0)
        assert index.put_aside is not None
        assert index.put_aside.exists()
        assert len(index.latest(Wanted(), limit=None)) == 2
    with Index(file) as index:
        assert index.put_aside is None


def test_that_of_a_newer_ocattach_is_left_alone(workdir: Path) -> None:
    file = workdir / "state/sessions.db"
    Index(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = file.read_bytes()

    with pytest.raises(IndexUnusableError, match="newer ocattach"):
        Index(file)
    assert file.read_bytes() == before


NEXT = "ALTER TABLE sessions ADD COLUMN stars INTEGER NOT NULL DEFAULT 3;\nCREATE TABLE notes (text TEXT);"


def migrated(file: Path, step: str) -> None:
    """What the next version of ocattach would do on opening it."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
        migrate(connection, [*STEPS, step])


def content(file: Path) -> tuple[int, list[str], list[tuple[object, ...]]]:
    """The version, the tables, and the sessions."""
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        found = connection.execute("SELECT * FROM sessions ORDER BY id").fetchall()
        return version_of(connection), [name for (name,) in tables], found


def test_that_of_an_older_ocattach_becomes_todays_with_all_it_has(workdir: Path) -> None:
    file = workdir / "state/sessions.db"
    with Index(file) as index:
        index.put(sessions("web", 300), "web", 1.0)
    _, tables, before = content(file)

    with ThreadPoolExecutor(WRITERS) as at_once:
        list(at_once.map(migrated, [file] * WRITERS, [NEXT] * WRITERS))

    assert content(file) == (VERSION + 1, sorted([*tables, "notes"]), [(*row, 3) for row in before])


def test_a_step_that_fails_leaves_an_older_one_as_it_was(workdir: Path) -> None:
    file = workdir / "state/sessions.db"
    with Index(file) as index:
        index.put(sessions("web", 3), "web", 1.0)
    before = content(file)

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        migrated(file, f"{NEXT}\nDROP TABLE no_such_table;")

    assert content(file) == before
    with Index(file) as index:
        assert len(index.latest(Wanted(), limit=None)) == 3


def test_the_last_status_of_a_connection_is_kept_for_three_months(workdir: Path) -> None:
    now, old = time.time(), time.time() - 91 * 24 * 3600
    with Index(workdir / "state/sessions.db") as index:
        index.put_statuses({"a": LastStatus("running", now - 1, 4096, "1.18.33")})
        index.put_statuses(
            {"a": LastStatus("stopped", now, None, None), "b": LastStatus("running", old, 1, "2")}
        )

        assert index.statuses() == {"a": LastStatus("stopped", now, None, None)}


def test_what_is_gone_from_the_part_that_was_told_is_forgotten_and_nothing_else(workdir: Path) -> None:
    with Index(workdir / "state/sessions.db") as index:
        old, new = sessions("web", 4), sessions("web", 4, updated=2)
        index.put(old, "web", 1.0)
        index.put([Session(id="ses_child", environment="web", parent=old[3].id, updated=9)], "web", 1.0)
        index.put(sessions("api", 1, updated=100), "api", 1.0)

        index.put([new[2]], "web", 2.0, covered=Covered(above=2, began=1.5))
        assert [known.session.id for known in index.latest(Wanted(environments=["web"]), limit=None)] == [
            old[2].id,
            old[1].id,
            old[0].id,
        ]
        assert index.find("ses_child") == []
        assert index.tallies()["api", "api"] == Tally(1, 1, 1.0)
        assert index.environments()["web"].walked is None

        index.put([], "web", 3.0, covered=Covered(began=1.5))
        assert {known.session.id for known in index.latest(Wanted(), limit=None)} == {new[2].id, "ses_api0"}
        index.put([], "web", 4.0, covered=Covered(began=time.time()))
        assert index.environments()["web"].walked == 4.0
        assert ("web", "web") not in index.tallies()


def test_what_was_told_later_counts_though_it_is_written_first(workdir: Path) -> None:
    (session,) = sessions("web", 1)
    with Index(workdir / "state/sessions.db") as index:
        index.put([session], "web", 2.0)
        index.put(sessions("web", 1, updated=50), "web", 1.0)
        (known,) = index.find(session.id)
    assert known.session.updated == session.updated


def test_a_session_in_two_environments_is_listed_once_and_counts_once(workdir: Path) -> None:
    (session,) = sessions("web", 1)
    with Index(workdir / "state/sessions.db") as index:
        index.put([session], "web", 1.0)
        twin = Session(id=session.id, environment="alias", origin="web", updated=1, cost=1.0)
        index.put([twin], "alias", 2.0)
        assert len(index.find(session.id)) == 2
        assert len(index.latest(Wanted(), limit=None)) == 1
        (total,) = index.totals(Wanted(children=True))
    assert (total.sessions, total.cost) == (1, 1.0)
