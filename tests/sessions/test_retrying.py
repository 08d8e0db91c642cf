"""A daemon that is away for a while is found again by the same way in, as often as it takes."""

from collections.abc import Callable

import pytest

from ocattach.backoff import Deadline
from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    EnvironmentNotRunningError,
    OcattachError,
    TimedOutError,
)
from ocattach.opencode.api import DaemonClient
from ocattach.sessions import run
from ocattach.sessions.run import RetryingClient, RunObserver


class Observer(RunObserver):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def lost(self, reason: str) -> None:
        self.told.append(f"lost: {reason}")

    def found(self) -> None:
        self.told.append("found")


def reported(error: OcattachError) -> OcattachError:
    """The error as a link reports it, through its socket."""
    return OcattachError.from_json(error.to_json())


def failing(*errors: OcattachError) -> Callable[[float], DaemonClient]:
    """A way in that fails with each of these errors in turn, and then works."""
    left = list(errors)

    def again(_left: float) -> DaemonClient:
        if left:
            raise reported(left.pop(0))
        return DaemonClient("http://127.0.0.1:9", username="", password="", timeout=1)

    return again


def lost_once() -> Callable[[DaemonClient], str]:
    """A question whose first answer is lost."""
    answers = [None, "answer"]

    def question(_client: DaemonClient) -> str:
        answer = answers.pop(0)
        if answer is None:
            raise ConnectionLostError("it is gone")
        return answer

    return question


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(run, "LONGEST_PAUSE", 0.01)


def test_a_way_in_that_fails_at_first_is_tried_again() -> None:
    observer = Observer()
    again = failing(
        ConnectionLostError("no route"), EnvironmentNotRunningError("stopped"), TimedOutError("late")
    )
    client = RetryingClient(failing()(60), again, observer, deadline=Deadline(60))

    assert client.ask(lost_once()) == "answer"
    assert observer.told == ["lost: it is gone", "found"]


def test_what_only_a_person_can_mend_ends_it_at_once() -> None:
    client = RetryingClient(
        failing()(60), failing(AuthenticationError("refused")), Observer(), deadline=Deadline(60)
    )

    with pytest.raises(AuthenticationError, match="refused"):
        client.ask(lost_once())


def test_it_ends_at_its_deadline() -> None:
    again = failing(*[ConnectionLostError("no route")] * 1000)
    client = RetryingClient(failing()(60), again, Observer(), deadline=Deadline(0.1))

    with pytest.raises(TimedOutError, match="no route"):
        client.ask(lost_once())
