"""A request is found by its id or the beginning of it, and one that does not wait any more is said to be that."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import (
    DaemonNotRunningError,
    EnvironmentNotFoundError,
    OcattachError,
    SessionNotFoundError,
    TimedOutError,
)
from ocattach.opencode.pending import Permission
from ocattach.survey import fanout, pending
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import QueryResult

ONE, TWO, LIKE_ONE = "per_aaaa1111", "per_bbbb2222", "per_aaaa1111x"

Answers = Mapping[str, Sequence[str] | OcattachError]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"OCATTACH_STATE_DIR": str(tmp_path), "OCATTACH_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture
def find(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Answers], str]:
    """Finds a request among environments that answer so: with ids, or an error."""

    def found(identifier: str, answers: Answers) -> str:
        specs = {name: ConnectionSpec.from_uri(f"docker://{name}", Path("/")) for name in answers}

        def ask_each(_entries: object, query: Callable[..., Any], **_: object) -> Iterator[QueryResult[Any]]:
            for name, answer in answers.items():
                spec = replace(specs[name], name=name)
                if isinstance(answer, OcattachError):
                    yield QueryResult((spec,), error=answer)
                else:
                    yield QueryResult((spec,), answer=query(name, [spec]))

        def waiting(name: Any, _directories: object) -> Iterator[tuple[Permission, None]]:
            ids = answers[name]
            assert not isinstance(ids, OcattachError)
            yield from (
                (Permission(id=each, session="ses_1", directory="/", permission="bash"), None) for each in ids
            )

        monkeypatch.setattr(pending, "ask_each", ask_each)
        monkeypatch.setattr(pending, "pending", waiting)
        return pending.find_request(identifier, Permission, [], environ)[0].id

    return found


@pytest.mark.parametrize(
    ("typed", "meant"), [(ONE, ONE), (TWO, TWO), ("per_bbbb", TWO), ("per_aaaa1111x", LIKE_ONE)]
)
def test_a_beginning_that_one_request_has_is_completed(
    find: Callable[[str, Answers], str], typed: str, meant: str
) -> None:
    assert find(typed, {"one": [ONE, LIKE_ONE], "two": [TWO], "down": DaemonNotRunningError("down")}) == meant


def test_one_that_several_have_and_one_that_is_too_short_are_refused(
    find: Callable[[str, Answers], str],
) -> None:
    with pytest.raises(SessionNotFoundError, match=f"beginning of several ids: {ONE}, {LIKE_ONE}"):
        find("per_aaaa", {"one": [ONE, LIKE_ONE]})
    with pytest.raises(SessionNotFoundError, match="does not wait"):
        find("per_b", {"one": [TWO]})


def test_a_beginning_is_not_enough_while_an_environment_may_have_another(
    find: Callable[[str, Answers], str],
) -> None:
    answers: Answers = {"one": [TWO], "dead": TimedOutError("late")}

    with pytest.raises(SessionNotFoundError, match="dead did not answer") as raised:
        find("per_bbbb", answers)
    assert raised.value.hint == f"Type the whole id: {TWO}"
    assert find(TWO, answers) == TWO


def test_what_was_answered_is_said_to_be_although_others_are_stopped(
    find: Callable[[str, Answers], str],
) -> None:
    stopped = {"stopped": DaemonNotRunningError("no daemon"), "gone": EnvironmentNotFoundError("none")}

    with pytest.raises(
        SessionNotFoundError, match=f"^{ONE} does not wait for an answer; it may have been answered$"
    ):
        find(ONE, {"one": [], **stopped})
    with pytest.raises(SessionNotFoundError, match=r"answered\. No answer from a, b$"):
        find(ONE, {"b": TimedOutError("late"), "one": [], "a": TimedOutError("late"), **stopped})


@pytest.mark.parametrize(("answer", "least", "most"), [(["it"], 0.2, 1.5), ([], 2.0, 4.0)])
def test_nobody_waits_long_for_others_once_something_is_found(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: list[str], least: float, most: float
) -> None:
    entries = [
        SurveyedConnection(ConnectionSpec.from_uri(f"docker://{name}", Path("/"))) for name in ("one", "slow")
    ]
    end = threading.Event()

    @contextmanager
    def open_client(spec: ConnectionSpec, **_: object) -> Iterator[None]:
        if "slow" in spec.display():
            end.wait(10)
        yield

    monkeypatch.setattr(fanout, "open_client", open_client)
    began = time.monotonic()
    results = list(fanout.ask_each(entries, lambda *_: answer, environ=environ, timeout=2, enough=0.2))
    took = time.monotonic() - began
    end.set()

    assert [result.answer for result in results] == [answer, None]
    assert isinstance(results[1].error, TimedOutError)
    assert least <= took <= most
