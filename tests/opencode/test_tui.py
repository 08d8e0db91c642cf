"""The TUI's screen after a gap."""

import json
import re

from ocattach.opencode.api import DaemonClient
from tests.model.server import asked_for
from tests.opencode.world import ASK_FIRST, World
from tests.tunnel.servers import free_port

QUESTION = {
    "question": "Which way?",
    "header": "Way",
    "options": [{"label": "Left", "description": "l"}, {"label": "Right", "description": "r"}],
}
TODO = {"content": "mend the fence", "status": "pending", "priority": "high"}
NUMBERED = re.compile(r"w0 .* w3", re.DOTALL)


def test_what_was_said_and_done_in_a_gap_is_on_the_screen_after_it(world: World) -> None:
    line = world.tunnel()

    with line.gap():
        world.say("said in the gap")
        world.say("!bash echo done-$((6 * 7))")
        world.say(f"!call todowrite {json.dumps({'todos': [TODO]})}")
        world.request("PATCH", f"/session/{world.session}", {"title": "Another title"})

    line.tui.wait_for("tool said: done-42")
    line.tui.wait_for("mend the fence")
    line.tui.wait_for("Another title")
    line.tui.resize(160, 100)
    line.tui.wait_for("You said: said in the gap")
    world.say("said after the gap")
    line.tui.wait_for("You said: said after the gap")


def test_gaps_that_follow_each_other_are_mended_as_soon_as_the_first(world: World) -> None:
    line = world.tunnel()

    for number in range(7):  # the TUI by itself would wait for 1, 2, 4, 8, 16, 30 and 30 seconds
        with line.gap():
            world.say(f"gap {number}")

        line.tui.wait_for(f"You said: gap {number}", timeout=20)


def test_a_permission_that_was_asked_for_in_a_gap_can_be_given_after_it(world: World) -> None:
    line = world.tunnel()

    with line.gap():
        world.begin(f"!bash {ASK_FIRST}-$((6 * 7))")
        world.asked("permission")
    line.tui.wait_for("Permission required")
    line.tui.send_keys("Enter")

    line.tui.wait_for("tool said: ask-first-42")


def test_a_permission_that_was_given_in_a_gap_is_not_asked_for_after_it(world: World) -> None:
    line = world.tunnel()
    world.begin(f"!bash {ASK_FIRST}-$((6 * 7))")
    line.tui.wait_for("Permission required")

    with line.gap():
        world.request("POST", f"/permission/{world.asked('permission')['id']}/reply", {"reply": "once"})
        world.await_idle()

    screen = line.tui.wait_for("tool said: ask-first-42")
    assert "Permission required" not in line.tui.wait_for(lambda screen: "Permission required" not in screen)
    assert "esc interrupt" not in screen


def test_what_waits_for_an_answer_when_a_tui_opens_can_be_answered_there(world: World) -> None:
    world.begin(f"!bash {ASK_FIRST}-$((6 * 7))")
    world.asked("permission")
    line = world.tunnel()

    line.tui.wait_for("Permission required")
    line.tui.send_keys("Enter")

    line.tui.wait_for("tool said: ask-first-42")
    world.await_idle()
    with line.gap():
        pass
    assert "Permission required" not in line.tui.screen()


def test_what_was_answered_while_a_tui_opened_does_not_block_it(world: World) -> None:
    world.begin(f"!bash {ASK_FIRST}-$((6 * 7))")
    request = world.asked("permission")
    line = world.tunnel(
        on_greeting=lambda: world.request("POST", f"/permission/{request['id']}/reply", {"reply": "once"})
    )

    line.tui.wait_for("tool said: ask-first-42")
    line.tui.wait_for(lambda screen: "Permission required" not in screen and "esc interrupt" not in screen)


def test_a_question_that_was_asked_in_a_gap_is_there_after_it_and_gone_after_the_next(world: World) -> None:
    line = world.tunnel()

    with line.gap():
        world.begin(f"!call question {json.dumps({'questions': [QUESTION]})}")
        question = world.asked("question")
    line.tui.wait_for("1. Left")
    with line.gap():
        world.request("POST", f"/question/{question['id']}/reply", {"answers": [["Left"]]})
        world.await_idle()

    line.tui.wait_for(lambda screen: "1. Left" not in screen and "tool said" in screen)


def test_words_that_were_on_the_screen_stay_there_and_those_of_the_gap_come(world: World) -> None:
    line = world.tunnel()
    world.begin("!slow 8")
    line.tui.wait_for("w5")

    with line.gap():
        pass
    line.tui.wait_for(NUMBERED)
    line.tui.wait_for("w20")
    assert NUMBERED.search(line.tui.screen())
    world.await_idle()

    whole = " ".join(f"w{number}" for number in range(40))
    line.tui.wait_for(lambda screen: whole in re.sub(r"\s+", " ", screen))


def test_a_prompt_of_the_tui_is_answered_once_whatever_gap_comes_before_or_after_it(world: World) -> None:
    line = world.tunnel()
    line.tui.send_text("please ")  # an exclamation mark at the start is a shell command's
    line.tui.wait_for("please")
    line.tui.send_text("!slow 6")
    line.tui.send_keys("Enter")
    line.tui.wait_for("w3")
    with line.gap():
        pass
    line.tui.wait_for("w29")
    world.await_idle()
    with line.gap():
        line.tui.send_text("typed in the gap")
        line.tui.send_keys("Enter")
        world.start_again()
    screen = line.tui.wait_for("You said: typed in the gap")

    assert "Failed to send" not in screen
    for text in ("please !slow 6", "typed in the gap"):
        assert asked_for(world.machine.model.requests, text) == 1


def test_a_session_that_was_deleted_in_a_gap_is_left(world: World) -> None:
    line = world.tunnel()

    with line.gap():
        world.request("DELETE", f"/session/{world.session}")

    line.tui.wait_for("The current session was deleted")


def test_a_session_whose_daemon_died_at_work_is_shown_as_idle(world: World) -> None:
    line = world.tunnel()
    world.begin(f"!bash {ASK_FIRST}")
    line.tui.wait_for("Permission required")

    with line.gap():
        world.start_again()

    line.tui.wait_for(lambda screen: "Permission required" not in screen and "esc interrupt" not in screen)
    world.say("said to the new one")
    line.tui.wait_for("You said: said to the new one")


def test_a_gap_that_lasts_is_told_on_the_screen_and_so_is_its_end(world: World) -> None:
    line = world.tunnel()

    with line.gap():
        line.tui.wait_for("The connection was lost; what you send")

    line.tui.wait_for("The connection is back")


def test_another_tui_of_the_daemon_is_told_nothing(world: World) -> None:
    line, other = world.tunnel(), world.tunnel()
    with line.gap():
        world.say("said in the gap")
        before = left_half(other.tui.wait_for("You said: said in the gap"))

    line.tui.wait_for("You said: said in the gap")

    assert left_half(other.tui.screen()) == before


def left_half(screen: str) -> list[str]:
    """The messages, without what the TUI counts and shows for a while beside them."""
    return [line[:80].rstrip() for line in screen.splitlines()]


def test_what_could_not_be_read_is_said_with_the_command_that_shows_it(world: World) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    line = world.tunnel(lambda: DaemonClient(nowhere))

    with line.gap():
        world.say("said in the gap")

    screen = line.tui.wait_for(f"ocattach frontend -s {world.session}")
    assert "Quit and run:" in screen
