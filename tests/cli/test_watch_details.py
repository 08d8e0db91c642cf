"""What the watch shows below its table, on terminals of many sizes, of requests that an environment wrote."""

import json
from typing import Any

import pytest
from rich.cells import cell_len

from ocattach.cli.status.details import View, details
from ocattach.opencode.pending import MOST_CHOICES, PendingRequest, read_request
from ocattach.opencode.snapshot import MOST_CHARACTERS, MOST_REQUESTS, DaemonSnapshot, bounded
from ocattach.survey.environment_status import EnvironmentState, EnvironmentStatus
from tests.sessions.workshop import TWO_QUESTIONS

PATTERN = f"\x1b[2Jecho \u202e{'x ' * 200}&& rm -rf /"


def permission(number: int, *patterns: str) -> PendingRequest:
    request = read_request(
        {
            "id": f"per_{number}",
            "sessionID": "ses_1",
            "permission": "bash",
            "patterns": list(patterns or [PATTERN]),
            "always": ["echo *"],
        },
        "/app",
    )
    assert request is not None
    return request


def question(number: int) -> PendingRequest:
    request = read_request({"id": f"que_{number}", "sessionID": "ses_1", "questions": TWO_QUESTIONS}, "/app")
    assert request is not None
    return request


def view(requests: list[PendingRequest], selected: str, *, width: int = 80, room: int = 12) -> View:
    status = EnvironmentStatus(state=EnvironmentState.WAITING, requests=requests)
    return details(status, requests, {}, selected=selected, width=width, room=room)


@pytest.mark.parametrize("width", [5, 18, 20, 60, 80, 100, 150])
@pytest.mark.parametrize("room", [0, 1, 5, 12, 40])
def test_nothing_is_wider_or_longer_than_the_screen_and_a_shown_request_is_whole(
    width: int, room: int
) -> None:
    requests = [permission(1), question(1), permission(2)]
    for request in requests:
        seen = view(requests, request.id, width=width, room=room)
        lines = [line.plain for line in seen.lines]
        assert len(lines) <= room
        assert all(cell_len(line) <= width for line in lines)
        assert all(line.isprintable() for line in lines)
        if seen.is_whole and request.kind == "permission":
            text = "".join("".join(lines).split())
            start = text.index(">Permissionforbash")
            assert "rm-rf/" in text[start:]
        if room >= 5:
            assert any(line.startswith("> ") for line in lines)


def test_a_request_that_exactly_fits_is_whole_and_one_that_was_shortened_is_not() -> None:
    lines = len(view([permission(1, "ls")], "per_1").lines)
    assert view([permission(1, "ls")], "per_1", room=lines).is_whole
    assert not view([permission(1, "ls"), permission(2)], "per_1", room=lines).is_whole, (
        "the last line is the number"
    )
    assert not view([permission(1, "ls")], "per_1", room=lines - 1).is_whole
    assert not view([permission(1, "x" * 5000)], "per_1", room=200).is_whole
    assert not view([permission(1, *["ls"] * (MOST_CHOICES + 1))], "per_1", room=200).is_whole


def test_requests_of_a_snapshot_are_bounded_and_pass_the_link_as_they_are() -> None:
    large = {"id": "per_0", "sessionID": "ses_1", "permission": "bash", "patterns": ["x" * 5000] * 1000}
    asked: list[dict[str, Any]] = [
        large,
        {"id": "per_1", "sessionID": "ses_1", "permission": "bash", "patterns": [PATTERN], "always": []},
        {"id": "que_1", "sessionID": "ses_1", "questions": TWO_QUESTIONS},
        *({"id": f"per_9{number}", "sessionID": "ses_1", "permission": "read"} for number in range(1000)),
        {"id": "../x", "sessionID": "ses_1"},
    ]

    kept = bounded(("/app", each) for each in asked)
    made = DaemonSnapshot("1.18.33", [("/app", {})], [], is_whole=True, began=1.0, requests=kept)
    text = json.dumps(made.to_json())

    assert [each.id for each in kept[:2]] == ["per_1", "que_1"]
    assert len(kept) == MOST_REQUESTS
    assert len(text) < MOST_REQUESTS * MOST_CHARACTERS
    assert list(DaemonSnapshot.from_json(json.loads(text)).requests) == kept
