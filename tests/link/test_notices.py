"""Notices: when there is one, and what a real desktop shows."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from ocattach.link.sessions import notices
from ocattach.link.sessions.notices import Notice, Notices, notice_command
from ocattach.opencode.agent_events import AgentEvents, AgentSession
from tests.rigs.desktop import Desktop, desktop
from tests.rigs.waiting import wait_until

ROOT, CHILD = "ses_root", "ses_child"


class Screen:
    """In the place of a desktop: what it was given."""

    def __init__(self, *kinds: str) -> None:
        self.shown: list[tuple[str, str]] = []
        self.agents = AgentEvents()
        self.agents.sessions = {
            ROOT: AgentSession(title="Fix it"),
            CHILD: AgentSession(title="A part of it", parent=ROOT),
        }
        self._notices = Notices(kinds, lambda notice: self.shown.append((notice.kind, notice.session)))

    def report(self, event: str, session: str = ROOT, **more: Any) -> None:
        self._notices(
            {"event": event, "environment": "frontend", "session": session, "root": session == ROOT, **more},
            self.agents,
        )

    def await_settled(self) -> list[tuple[str, str]]:
        """What is shown when a later notice, of another session, is."""
        self.agents.sessions["ses_last"] = AgentSession()
        self.report("session-end", "ses_last", root=True, reason="idle")
        wait_until(lambda: self.shown and self.shown[-1] == ("idle", "ses_last"), "the last notice")
        return self.shown[:-1]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SETTLED_SECONDS", 0.05)


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([("session-end", {"reason": "idle"})], [("idle", ROOT)]),
        ([("session-end", {"reason": "error", "error": {"message": "no"}})], [("error", ROOT)]),
        ([("session-end", {"reason": "aborted"})], []),
        ([("session-end", {"session": CHILD, "reason": "idle"})], []),
        ([("session-end", {"reason": "idle"}), ("prompt", {})], []),
        ([("permission-asked", {"id": "per_1"})], [("waiting", ROOT)]),
        ([("question-asked", {"id": "que_1", "session": CHILD})], [("waiting", ROOT)]),
        ([("permission-asked", {"id": "per_1"}), ("permission-answered", {"id": "per_1"})], []),
        (
            [("permission-asked", {"id": "per_1"}), ("question-asked", {"id": "que_1", "session": CHILD})],
            [("waiting", ROOT)],
        ),
    ],
)
def test_there_is_one_notice_for_each_time_of_waiting_and_each_end(
    events: list[tuple[str, dict[str, Any]]], shown: list[tuple[str, str]]
) -> None:
    screen = Screen("waiting", "idle", "error")

    for event, more in events:
        screen.report(event, **more)

    assert screen.await_settled() == shown


def test_a_session_that_waits_again_is_reported_again() -> None:
    screen = Screen("waiting", "idle")
    screen.report("permission-asked", id="per_1")
    wait_until(lambda: screen.shown, "the first notice")
    screen.report("permission-answered", id="per_1")
    screen.report("permission-asked", id="per_2")

    assert screen.await_settled() == [("waiting", ROOT), ("waiting", ROOT)]


def test_only_what_the_settings_name_is_shown() -> None:
    screen = Screen("idle")
    screen.report("permission-asked", id="per_1")
    screen.report("session-end", reason="error")

    assert screen.await_settled() == []


@pytest.fixture(scope="module")
def shown_here() -> Iterator[Desktop]:
    with desktop() as made:
        yield made


def test_a_desktop_shows_name_title_and_the_command_as_they_are(
    shown_here: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shown_here.variables.items():
        monkeypatch.setitem(os.environ, name, value)
    title = "-x <b>Fix</b> & \x1b[31mred\n"

    notices.show_notice(Notice("front end", title, "waiting", "bash: rm -rf <i>", "ses_1"))

    ((summary, body),) = shown_here.notices()
    assert summary == "front end: -x <b>Fix</b> & \\x1b[31mred waits for you"
    assert body.split("\n") == ["bash: rm -rf &lt;i&gt;", "ocattach session open ses_1"]


def test_macos_gets_the_texts_as_arguments_and_not_as_a_script() -> None:
    argv = notice_command('say "hi"', 'body" & do shell script "x', "darwin")

    assert argv is not None
    assert (argv[0], argv[-2:]) == ("osascript", ['say "hi"', 'body" & do shell script "x'])
    assert "hi" not in argv[2]
