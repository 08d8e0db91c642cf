"""What agents do is reported once each and in order, also over a gap; the daemon is a real OpenCode."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ocattach.opencode.prompts import PromptClient, new_prompt, of_time
from tests.rigs.waiting import wait_until
from tests.sessions.test_event_listener import Link, World, machine_with_daemon, world
from tests.sessions.workshop import ASK_FOR_BASH, ASK_TWO_QUESTIONS

__all__ = ["machine_with_daemon", "world"]

Event = dict[str, Any]


def settled(world: World) -> Link:
    """A new link that listens."""
    link = world.link()
    wait_until(lambda: link.watcher.feed.is_settled, "the link to listen")
    return link


def send(world: World, session: str, text: str) -> None:
    PromptClient(world.client()).send(session, new_prompt(text, of_time(int(time.time() * 1000))))


def reported(link: Link, session: str) -> list[Event]:
    """The events of a session so far, and the gaps."""
    log, lines = link.watcher.feed.log, list[bytes]()
    while more := log.read(len(lines), 0)[0]:
        lines += more
    found = [json.loads(line) for line in lines]
    return [each for each in found if each.get("session", session) == session]


def until(link: Link, session: str, is_enough: Callable[[list[Event]], bool]) -> list[Event]:
    """The events once there are enough."""
    try:
        wait_until(lambda: is_enough(reported(link, session)), "the events", interval=0.1, timeout=60)
    except TimeoutError as error:
        error.add_note(f"{kinds(reported(link, session))}")
        raise
    return reported(link, session)


def has(kind: str) -> Callable[[list[Event]], bool]:
    return lambda events: any(each["event"] == kind for each in events)


def the(kind: str, events: list[Event]) -> Event:
    (found,) = [each for each in events if each["event"] == kind]
    return found


def kinds(events: list[Event]) -> list[str]:
    return [each["event"] for each in events]


def test_a_run_with_a_command_that_fails(world: World) -> None:
    link = settled(world)
    session = world.make(title="a run")
    send(world, session, "!bash echo out; exit 3")

    events = until(link, session, has("session-end"))

    assert kinds(events) == ["session-start", "prompt", "tool-start", "tool-end", "answer", "session-end"]
    start, prompt, _, tool, answer, end = events
    assert (start["title"], prompt["text"]) == ("a run", "!bash echo out; exit 3")
    assert (tool["tool"], tool["stdout"], tool["exit_code"], tool["is_error"]) == ("bash", "out\n", 3, False)
    assert tool["input"]["command"] == "echo out; exit 3"
    assert (answer["text"], answer["model"]) == ("tool said: out", "fake/fake-1")
    assert answer["tokens"]["output"] > 0
    assert end["reason"] == "idle"
    for each in events:
        assert (each["session"], each["root"], each["cwd"]) == (session, True, world.workdir)
        assert (each["environment"], each["origin"]) == ("frontend", "frontend")


def test_requests_errors_and_ends(world: World) -> None:
    link = settled(world)
    failing, aborted, deleted = world.make(), world.make(), world.make()
    allowed = world.make(permission=ASK_FOR_BASH)
    asking = world.make()
    send(world, failing, "!error 400")
    send(world, aborted, "!slow 60")
    send(world, allowed, "!bash echo yes")
    send(world, asking, ASK_TWO_QUESTIONS)

    permission = the("permission-asked", until(link, allowed, has("permission-asked")))
    asked = the("question-asked", until(link, asking, has("question-asked")))
    where = f"directory={quote(world.workdir, safe='')}"
    world.request("POST", f"/permission/{permission['id']}/reply?{where}", {"reply": "once"})
    world.request("POST", f"/question/{asked['id']}/reply?{where}", {"answers": [["red"], ["S"]]})
    world.request("POST", f"/session/{aborted}/abort")
    world.request("DELETE", f"/session/{deleted}")

    assert (permission["permission"], permission["patterns"]) == ("bash", ["echo yes"])
    assert asked["questions"][0]["options"][1] == {"label": "blue", "description": "cold"}
    ends = {each: until(link, each, has("session-end"))[-1] for each in (failing, aborted, deleted, allowed)}
    assert ends[failing]["error"] == {"name": "APIError", "message": "scripted error 400"}
    assert [ends[each]["reason"] for each in ends] == ["error", "aborted", "deleted", "idle"]
    answered = until(link, asking, has("session-end"))
    assert the("question-answered", answered)["answers"] == [["red"], ["S"]]
    assert the("permission-answered", reported(link, allowed))["reply"] == "once"


def test_what_happened_in_a_gap_is_filled_in_once(world: World) -> None:
    link = settled(world)
    session, waits = world.make(), world.make(permission=ASK_FOR_BASH)
    send(world, session, "!bash sleep 1; echo late")
    until(link, session, has("tool-start"))
    with link.gap():
        send(world, waits, "!bash echo asked")
        other = world.make(title="in the gap")
        send(world, other, "hello")
        wait_until(lambda: not world.is_busy(session) and not world.is_busy(other), "the runs to end")

    events = until(link, session, has("session-end"))

    assert kinds(events) == [
        "session-start",
        "prompt",
        "tool-start",
        "gap",
        "tool-end",
        "answer",
        "session-end",
    ]
    assert events[3]["seconds"] > 0
    assert events[4]["stdout"] == "late\n"
    expected = ["gap", "session-start", "prompt", "answer", "session-end"]
    assert kinds(until(link, other, has("session-end"))) == expected
    assert kinds(until(link, waits, has("permission-asked"))) == [
        *("session-start", "gap", "prompt", "tool-start", "permission-asked")
    ]
    with link.gap():
        pass
    wait_until(lambda: Counter(kinds(reported(link, session)))["gap"] == 2, "the second gap")
    wait_until(lambda: link.watcher.feed.is_settled, "what was missed to be read")
    assert Counter(kinds(reported(link, session))) == Counter([*kinds(events), "gap"])
