"""The state machine of a link's connection."""

import threading

import pytest

from ocattach.errors import AuthenticationError, CrashLoopError, PersonNeededError
from ocattach.link.server.history import History
from ocattach.link.server.state import TRANSITIONS, LinkState, StateMachine

ROUTES: dict[LinkState, tuple[LinkState, ...]] = {
    LinkState.STARTING: (),
    LinkState.CONNECTED: (LinkState.CONNECTED,),
    LinkState.LOST: (LinkState.CONNECTED, LinkState.LOST),
    LinkState.RECONNECTING: (LinkState.CONNECTED, LinkState.LOST, LinkState.RECONNECTING),
    LinkState.LOCKED: (LinkState.CONNECTED, LinkState.LOST, LinkState.LOCKED),
    LinkState.STOPPED: (LinkState.CONNECTED, LinkState.LOST, LinkState.STOPPED),
}
"""How to reach each state from the first one."""

ALLOWED = [(state, to) for state in LinkState for to in LinkState if to in TRANSITIONS[state]]
REFUSED = [(state, to) for state in LinkState for to in LinkState if to not in TRANSITIONS[state]]


def machine_in(state: LinkState) -> tuple[StateMachine, History]:
    history = History()
    machine = StateMachine(history)
    for step in ROUTES[state]:
        assert machine.move(step)
    assert machine.state is state
    return machine, history


def events(history: History) -> list[str]:
    return [each["event"] for each in history.to_json()]


@pytest.mark.parametrize(("state", "to"), ALLOWED)
def test_a_transition_of_the_table_is_made_and_logged(state: LinkState, to: LinkState) -> None:
    machine, history = machine_in(state)

    assert machine.move(to, reason="because")

    assert machine.state is to
    assert events(history)[len(ROUTES[state]) :] == [f"{to.value}: because"]


@pytest.mark.parametrize(("state", "to"), REFUSED)
def test_any_other_transition_is_refused_and_not_logged(state: LinkState, to: LinkState) -> None:
    machine, history = machine_in(state)
    before = machine.snapshot()

    assert not machine.move(to, reason="because")

    assert machine.snapshot() == before
    assert len(events(history)) == len(ROUTES[state])


def test_every_state_has_its_transitions_and_none_leads_to_itself() -> None:
    assert set(TRANSITIONS) == set(LinkState)
    assert not [state for state, following in TRANSITIONS.items() if state in following]


def test_a_loss_that_many_threads_notice_is_one_transition() -> None:
    machine, history = machine_in(LinkState.CONNECTED)
    together = threading.Barrier(8)

    def notice() -> None:
        together.wait()
        machine.lose("it does not answer")

    threads = [threading.Thread(target=notice) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert events(history) == ["connected", "lost: it does not answer"]


def test_a_connection_that_is_lost_while_it_is_restored_does_not_count_as_restored() -> None:
    machine, _ = machine_in(LinkState.RECONNECTING)

    machine.lose("it ended")

    assert not machine.move(LinkState.CONNECTED)
    assert machine.snapshot() == (LinkState.LOST, "it ended")


def test_the_time_of_the_loss_stays_when_an_attempt_fails() -> None:
    machine, _ = machine_in(LinkState.LOST)
    lost_at = machine.lost_at

    machine.begin()
    machine.lose("refused")

    assert machine.lost_at == lost_at > 0
    assert machine.snapshot() == (LinkState.LOST, "refused")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (AuthenticationError("refused"), LinkState.LOCKED),
        (PersonNeededError("refused"), LinkState.LOCKED),
        (CrashLoopError("refused"), LinkState.STOPPED),
    ],
)
def test_the_error_tells_whether_a_link_that_gives_up_is_locked_or_stopped(
    error: AuthenticationError | CrashLoopError, state: LinkState
) -> None:
    machine, _ = machine_in(LinkState.LOST)

    assert machine.give_up(error)

    assert machine.snapshot() == (state, "refused")
    assert machine.error is error


def test_a_link_does_not_give_up_while_another_attempt_is_in_progress() -> None:
    machine, _ = machine_in(LinkState.RECONNECTING)

    assert not machine.give_up(AuthenticationError("refused"))
    assert machine.error is None


def test_a_link_that_had_given_up_does_so_again_after_a_failed_attempt() -> None:
    machine, _ = machine_in(LinkState.LOST)
    machine.give_up(PersonNeededError("a password is needed"))

    machine.begin()
    machine.lose("it timed out")
    machine.restore_given_up()

    assert machine.snapshot() == (LinkState.LOCKED, "a password is needed")


def test_a_restored_connection_has_no_reason_and_no_error() -> None:
    machine, _ = machine_in(LinkState.LOST)
    machine.give_up(PersonNeededError("a password is needed"))

    machine.begin()
    machine.move(LinkState.CONNECTED, reason="through relay to port 4096")

    assert machine.snapshot() == (LinkState.CONNECTED, None)
    assert machine.error is None
