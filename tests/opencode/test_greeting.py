"""What a TUI that opens is sent, without one: with one, see test_tui."""

from collections.abc import Mapping

import pytest

from ocattach.opencode.tui import resumer as module
from ocattach.opencode.tui.resumer import Event, Greeting, Resync, event

REQUEST = b"GET /global/event HTTP/1.1\r\nUser-Agent: opencode/1.18.33\r\n\r\n"
ASKED = {"per_1": event("permission.asked", {"id": "per_1", "sessionID": "ses_1"}, {"directory": "/app"})}


@pytest.mark.parametrize(("later", "is_withdrawn"), [({}, True), (ASKED, False), (None, False)])
def test_a_request_is_withdrawn_only_if_it_is_known_to_be_answered(
    later: Mapping[str, Event] | None, is_withdrawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 0)
    answers = iter([Greeting("Connected", ASKED), Greeting("Connected", later)])
    resumer = Resync(
        lambda: pytest.fail("nothing is read"), name=lambda: "frontend", greeting=lambda: next(answers)
    )

    first, *others = resumer.greet(REQUEST)

    assert b"permission.asked" in first
    assert (b"permission.replied" in b"".join(others)) is is_withdrawn
