"""An answer that OpenCode would never give concerns its environment's row: the others are listed, in bounded memory."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DefectError
from ocattach.opencode.endpoint import milliseconds
from ocattach.opencode.sessions import is_session_id
from ocattach.sessions.index import store
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from ocattach.survey.collect import SessionCollector
from ocattach.survey.everywhere import AllConnections, SurveyedConnection
from ocattach.survey.session_list import Request
from ocattach.survey.status import Survey
from tests.rigs.odd_daemon import SESSION, OddDaemon, odd_daemon, session
from tests.survey.desk import Desk

MEBIBYTE = 1024 * 1024
MEMORY = 250 * MEBIBYTE
"""Of a command, which has 45 MiB by itself; the answer has 16."""

SECONDS = 30
DEEP = b'{"x":' * 5000 + b"1" + b"}" * 5000

ODD_SESSIONS: dict[str, Any] = {
    "an id with a surrogate": session(id="ses_\ud800"),
    "an id with a line break": session(id="ses_a\nb"),
    "an id with a command": session(id="ses_a;touch${IFS}X;#"),
    "an id of 81 characters": session(id="ses_" + "a" * 77),
    "an id of no text": session(id=7),
    "a title with a surrogate": session(id="ses_1", title="\udcff \ud800"),
    "a directory with a surrogate": session(id="ses_2", directory="/\ud800"),
    "a date of 2^70": session(id="ses_3", **{"time.updated": 2**70, "time.created": 2**70}),
    "a date below zero": session(id="ses_4", **{"time.updated": -(2**40), "time.created": -1}),
    "a date in the year 287168": session(id="ses_5", **{"time.updated": 9_000_000_000_000_000}),
    "a date that is no number": session(id="ses_6", **{"time.updated": math.nan, "time.created": math.inf}),
    "a date that is a list": session(id="ses_7", time=[1]),
    "tokens of 2^70": session(id="ses_8", **{"tokens.input": 2**70, "tokens.cache": {"read": -5}}),
    "tokens whose sum is too large": session(id="ses_9", **{"tokens.input": 2**53, "tokens.output": 2**53}),
    "a cost without end": session(id="ses_10", cost=math.inf),
    "a cost of 2^2000": session(id="ses_11", cost=2**2000),
    "a parent that is no id": session(id="ses_12", parentID={"a": 1}),
    "an origin of no text": session(id="ses_13", metadata={"origin": [1, 2]}),
    "an origin with a surrogate": session(id="ses_14", metadata={"origin": "\ud800"}),
    "no session": [1, 2],
    "nothing": None,
}


@pytest.fixture
def good() -> Iterator[OddDaemon]:
    """A daemon with one session."""
    with odd_daemon(SESSION) as daemon:
        yield daemon


@pytest.fixture
def odd() -> Iterator[OddDaemon]:
    """A daemon whose answers a test changes."""
    with odd_daemon() as daemon:
        yield daemon


@pytest.fixture
def desk(workdir: Path, good: OddDaemon, odd: OddDaemon) -> Desk:
    """A laptop with connections to both."""
    desk = Desk(workdir)
    desk.save("good", {"transport": "http", "url": good.url})
    desk.save("odd", {"transport": "http", "url": odd.url})
    return desk


def listed(desk: Desk) -> dict[str, Any]:
    """What `session list` says as JSON; in time, and without a traceback."""
    began = time.monotonic()
    ran = desk.run("session", "list", "-o", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert time.monotonic() - began < SECONDS
    document: dict[str, Any] = json.loads(ran.stdout, parse_constant=pytest.fail)
    return document


def test_every_odd_session_in_one_list_is_left_out_or_made_fit(desk: Desk, odd: OddDaemon) -> None:
    odd.answer("/experimental/session", [*ODD_SESSIONS.values()])

    sessions = {each["id"]: each for each in listed(desk)["sessions"]}

    assert "ses_good" in sessions
    assert len(sessions) == 1 + 14
    assert all(is_session_id(identifier) for identifier in sessions)
    assert sessions["ses_5"]["updated"] == 0
    assert sessions["ses_1"]["title"] == "\ufffd \ufffd"
    for command in (["session", "list"], ["session", "stats"], ["session", "waiting"], ["--status"]):
        ran = desk.run(*command)
        assert (ran.returncode, "Traceback" in ran.stderr, "bug in" in ran.stderr) == (0, False, False), ran
    assert {name: each["state"] for name, each in desk.ask().states.items()} == {
        "good": "running",
        "odd": "running",
    }


def test_the_sums_of_many_sessions_fit_their_column(desk: Desk, odd: OddDaemon) -> None:
    huge = {"input": 2**53, "output": 2**53}
    odd.answer(
        "/experimental/session", [session(id=f"ses_{n}", tokens=huge, cost=1e300) for n in range(2000)]
    )

    ran = desk.run("session", "stats", "-o", "json")

    assert ran.returncode == 0, ran
    assert "Good" not in ran.stderr


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/experimental/session", b"[" + b"[]," * (16 * MEBIBYTE // 3 - 10) + b"1]"),
        ("/experimental/session", b"[" + b'{"a":1},' * (2 * MEBIBYTE - 10) + b"1]"),
        ("/experimental/session", b"[" + b'"",' * (16 * MEBIBYTE // 3 - 10) + b"1]"),
        ("/session/status", b"{" + b'"ses_1":{},' * 1_000_000 + b'"ses_2":{}}'),
        ("/permission", b"[" + b'{"id":"per_1","sessionID":"ses_1"},' * 400_000 + b"1]"),
        ("/experimental/session", DEEP),
        ("/experimental/session", b"[" + DEEP + b"]"),
        ("/session/status", b'{"ses_1":' + DEEP + b"}"),
        ("/global/health", b'{"version":"1.18.33","x":' + DEEP + b"}"),
        ("/experimental/session", b'[{"id":' + b"9" * 100_000 + b"}]"),
        ("/experimental/session", b"\xff\xfe" + "[]".encode("utf-16-le")),
        ("/experimental/session", b'[{"id":"ses_1","title":"\xed\xa0\x80"}]'),
        ("/experimental/session", b""),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:12].decode(errors="replace"),
)
def test_an_answer_beyond_all_bounds_ends_nothing_but_its_row(
    desk: Desk, good: OddDaemon, odd: OddDaemon, path: str, body: bytes
) -> None:
    odd.answer("/session/status", {"ses_1": {"type": "busy"}})
    odd.answer("/experimental/session", [session(id="ses_1")])
    odd.answer(path, body)
    specs = [ConnectionSpec.from_entry({"transport": "http", "url": each.url}) for each in (good, odd)]
    entries = tuple(map(SurveyedConnection, specs))

    with Survey(entries, environ=desk.variables, timeout=SECONDS) as survey:
        survey.ask()
        while not survey.is_done:
            survey.await_change(0.1)
        statuses = survey.statuses()
    gathered = SessionCollector(
        AllConnections(entries, ()),
        Request(),
        environ=desk.variables,
        timeout=SECONDS,
    ).gather()

    assert None not in statuses
    assert next(status.state for status in statuses if status) == "running"
    assert not any(status.is_defect for status in statuses if status)
    assert "ses_good" in [each.session.id for each in gathered.sessions]
    assert not [source for source in gathered.sources if isinstance(source.error, DefectError)]


@pytest.mark.parametrize("item", [b"[],", b'{"a":1},'], ids=["lists", "objects"])
def test_megabytes_of_small_values_take_bounded_memory(desk: Desk, odd: OddDaemon, item: bytes) -> None:
    odd.answer("/experimental/session", b"[" + item * (16 * MEBIBYTE // len(item) - 10) + b"1]")

    asked = desk.ask(timeout=20)

    assert asked.states["good"]["state"] == "running"
    assert asked.peak_memory < MEMORY


def test_pages_without_end_have_an_end(desk: Desk, odd: OddDaemon) -> None:
    odd.headers["X-Next-Cursor"] = "more"
    odd.answer("/experimental/session", [session(id="ses_1"), session(id="ses_2")])

    assert desk.run("session", "list", "-n", "0", "-o", "json").returncode == 0
    assert len([request for request in odd.requests if "/experimental/session" in request]) < 100


def test_thousands_of_permissions_do_not_become_thousands_of_requests(desk: Desk, odd: OddDaemon) -> None:
    odd.answer("/session/status", {"ses_1": {"type": "busy"}})
    odd.answer("/permission", [{"id": f"per_{n}", "sessionID": f"ses_{n}"} for n in range(20_000)])

    desk.ask(timeout=10)

    assert len(odd.requests) < 2000


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999999", "0" * 200, ""]
)
def test_a_date_of_no_calendar_is_none(date: str) -> None:
    assert milliseconds(date) is None


def test_the_index_keeps_a_bounded_number_of_sessions(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT", 10)
    made = [Session(id=f"ses_{number}", environment="e", updated=number) for number in range(30)]
    other = Session(id="ses_0", environment="f")
    with Index(workdir / "sessions.db") as index:
        index.put([other], "f", 1.0)
        index.put(made, "e", 1.0)

        kept = index.latest(Wanted(), limit=None)
    assert {(each.session.environment, each.session.updated) for each in kept} == {
        ("f", 0),
        *(("e", number) for number in range(20, 30)),
    }
