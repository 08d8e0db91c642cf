"""What a TUI that opens is sent, without one: with one, see test_tui."""

from collections.abc import Mapping
from unittest.mock import Mock

import pytest

from ocattach.link.server.connection import DaemonConnection
from ocattach.link.server.greeting import greeting
from ocattach.link.server.state import StateMachine
from ocattach.opencode.api import TRY_SECONDS, DaemonClient
from ocattach.opencode.tui import resumer as module
from ocattach.opencode.tui.missed import Event, event
from ocattach.opencode.tui.resumer import Greeting, Resync, encode
from tests.rigs.odd_daemon import odd_daemon

BY_TUI = b"HTTP/1.1\r\nUser-Agent: opencode/1.18.33\r\n\r\n"
REQUEST = b"GET /global/event " + BY_TUI
OPENED = b"GET /session/status "
ASKED = {"per_1": event("permission.asked", {"id": "per_1", "sessionID": "ses_1"}, {"directory": "/app"})}


@pytest.mark.parametrize(("later", "is_withdrawn"), [({}, True), (ASKED, False), (None, False)])
def test_a_request_is_withdrawn_only_if_it_is_known_to_be_answered(
    later: Mapping[str, Event] | None, is_withdrawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0)
    monkeypatch.setattr(module, "LATE_SECONDS", 0)
    answers = iter([Greeting("Connected", ASKED), Greeting("Connected", later)])
    resumer = Resync(
        lambda: pytest.fail("nothing is read"), name=lambda: "frontend", greeting=lambda: next(answers)
    )

    first, *others = resumer.greet(REQUEST)

    assert b"permission.asked" in first
    assert (b"permission.replied" in b"".join(others)) is is_withdrawn


@pytest.mark.parametrize("opened", [OPENED + BY_TUI, OPENED + b"HTTP/1.1\r\nUser-Agent: another\r\n\r\n"])
def test_a_tui_that_opens_late_is_shown_once_more_what_it_had_no_screen_for(
    opened: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0)
    monkeypatch.setattr(module, "LATE_SECONDS", 0)
    resumer = Resync(
        lambda: pytest.fail("nothing is read"),
        name=lambda: "frontend",
        greeting=lambda: Greeting("Connected", ASKED),
    )
    greetings = resumer.greet(REQUEST)
    first = next(greetings)

    resumer.learn(opened)

    assert list(greetings) == ([first] if opened.endswith(BY_TUI) else [])


def test_what_waits_is_known_from_a_daemon_that_is_slow_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = DaemonConnection(Mock(StateMachine))
    listener = Mock(environment_name="frontend")
    listener.feed.waiting = ()
    connection.directories["/app"] = "/app"
    with odd_daemon() as daemon:
        daemon.answer("/question", [{"id": "que_1", "sessionID": "ses_1", "questions": []}])
        daemon.delays["/question"] = 2 * TRY_SECONDS
        monkeypatch.setattr(
            connection,
            "open_client",
            lambda timeout=TRY_SECONDS, **_: DaemonClient(daemon.url, timeout=timeout),
        )

        message, requests = greeting(listener, connection)

    assert list(requests or ()) == ["que_1"]
    assert "waits for you" in message


def test_a_request_whose_answer_came_before_it_was_shown_is_withdrawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0)
    monkeypatch.setattr(module, "LATE_SECONDS", 0)
    answers = iter([Greeting("Connected", ASKED), Greeting("Connected", {})])
    resumer = Resync(
        lambda: pytest.fail("nothing is read"), name=lambda: "frontend", greeting=lambda: next(answers)
    )
    greetings = resumer.greet(REQUEST)
    next(greetings)

    resumer.observe(encode(event("permission.replied", {"requestID": "per_1"}, None), bare=False))

    assert b"permission.replied" in next(greetings)
