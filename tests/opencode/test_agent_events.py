"""What a daemon's events are reported as, whatever it sends."""

import itertools
import sys
from typing import Any

import pytest

from ocattach.opencode.agent_events import KINDS, AgentEvents
from ocattach.opencode.events import Event

ODD: tuple[Any, ...] = (None, 5, -1, 2**70, True, "", "x" * 5000, [], [1, None], {}, {"a": {}}, {"id": 7})
SESSION = {"sessionID": "ses_1"}


def take(events: AgentEvents, kind: str, **properties: Any) -> list[dict[str, Any]]:
    return list(events.take(Event(kind, "/app", {**SESSION, **properties})))


def message(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"msg_{number:04}", "role": "assistant", "parentID": "msg_0", **more}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_odd_values_raise_nothing(kind: str) -> None:
    events = AgentEvents()

    for info, part, other in itertools.product(ODD, ODD, ODD):
        properties = {"info": info, "part": part, "status": other, "error": other, "requestID": other}
        take(events, kind, **properties, questions=other, answers=other, reply=other, id=other)
    for value in ODD:
        names = (
            "id",
            "messageID",
            "state",
            "time",
            "tokens",
            "cost",
            "finish",
            "text",
            "path",
            "error",
            "tool",
        )
        for name in names:
            take(events, kind, info={**message(1), name: value}, part={"type": "tool", name: value})
            take(
                events, kind, part={"type": "tool", "id": "prt_1", "state": {"status": "error", name: value}}
            )
            take(events, kind, part={"type": "text", "messageID": "msg_1", name: value})
    assert list(events.take(Event(kind, "/app", {"sessionID": "../x"}))) == []


def test_an_answer_has_the_tokens_and_the_cost_of_all_steps_since_the_prompt() -> None:
    events = AgentEvents()
    tokens = {"input": 10, "output": 2, "cache": {"read": 3, "write": 0}}
    for number, finish in ((1, "tool-calls"), (2, "stop")):
        info = message(number, tokens=tokens, cost=0.5, finish=finish)
        assert take(events, "message.updated", info=message(number)) == []
        text = {"type": "text", "id": f"prt_{number}", "messageID": info["id"], "text": f"step {number}"}
        assert take(events, "message.part.updated", part=text) == []
        assert take(events, "message.updated", info={**info, "time": {"completed": 5}}) == []
    late = {"type": "text", "id": "prt_2", "messageID": "msg_0002", "text": "step 2, whole"}
    assert take(events, "message.part.updated", part=late) == []

    answer, end = take(events, "session.idle")
    assert (end["event"], end["reason"]) == ("session-end", "idle")
    assert (answer["text"], answer["cost"], answer["tokens"]["input"]) == ("step 2, whole", 1.0, 20)
    assert answer["tokens"]["cache_read"] == 6
    assert take(events, "message.updated", info={**info, "time": {"completed": 5}}) == []
    assert take(events, "session.idle") == []


def test_a_run_ends_once_though_older_events_come_after_its_end_was_read() -> None:
    events = AgentEvents()
    take(events, "message.updated", info=message(1))
    (end,) = take(events, "session.idle")

    assert (end["event"], end["reason"]) == ("session-end", "idle")
    for status in ("busy", "idle"):
        assert take(events, "session.status", status={"type": status}) == []
    assert events.sessions["ses_1"].is_idle
    take(events, "message.updated", info=message(2))
    assert len(take(events, "session.idle")) == 1


def test_what_is_remembered_is_bounded() -> None:
    events = AgentEvents()
    wide = "x" * 100_000
    for number in range(30_000):
        session = {"sessionID": f"ses_{number}"}
        info = {**message(number), "parentID": f"msg_{number}x", "path": {"cwd": wide}}
        for kind, more in (
            ("session.created", {"info": {"id": session["sessionID"], "title": wide, "directory": wide}}),
            ("message.updated", {"info": info}),
            ("session.error", {"error": {"name": wide, "data": {"message": wide}}}),
            ("permission.asked", {"id": f"per_{number}", "permission": wide}),
        ):
            list(events.take(Event(kind, "/app", {**session, **more})))

    assert size_of(events) < 64 * 1024 * 1024


def size_of(thing: Any) -> int:
    """The bytes of an object with all that it refers to."""
    seen: set[int] = set()
    left = [thing]
    total = 0
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type) or callable(each):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        if isinstance(each, dict):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple, set)):
            left += each
        elif hasattr(each, "__dict__"):
            left.append(vars(each))
        elif hasattr(each, "__slots__"):
            left += [getattr(each, name) for name in each.__slots__]
    return total
