"""The survey by itself: who is asked again, and when."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    DaemonNotRunningError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    HostKeyError,
    NotTrustedError,
    OcattachError,
    OpencodeNotFoundError,
    TimedOutError,
    UnreachableError,
)
from ocattach.link.files import link_files
from ocattach.sessions.origins import Names
from ocattach.survey.environment_status import EnvironmentState, EnvironmentStatus, state_of, status_of
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import FanOut
from ocattach.survey.journal import Journal
from ocattach.survey.probe import EnvironmentProbe
from ocattach.survey.status import ProbeState, Survey, pause_after, to_be_known
from tests.rigs.waiting import wait_until


@pytest.fixture
def environ(workdir: Path) -> dict[str, str]:
    """The variables of a laptop that has nothing yet."""
    places = {f"OCATTACH_{name}_DIR": str(workdir / name) for name in ("CONFIG", "STATE", "RUNTIME")}
    (workdir / "RUNTIME").mkdir(mode=0o700)
    return {**os.environ, **places}


class Silent:
    """A server that never says anything, and never hangs up."""

    def __init__(self, server: socket.socket, opened: ExitStack) -> None:
        server.setblocking(False)
        self._server, self._opened = server, opened

    def dials(self) -> int:
        """How often somebody has connected since the last time."""
        count = 0
        while True:
            try:
                self._opened.enter_context(self._server.accept()[0])
            except BlockingIOError:
                return count
            count += 1

    def spec(self, **more: str) -> ConnectionSpec:
        """A connection to a daemon there."""
        url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        return ConnectionSpec.from_entry({"transport": "http", "url": url, **more})


@pytest.fixture
def silent() -> Iterator[Silent]:
    """A server like that."""
    with ExitStack() as opened:
        yield Silent(opened.enter_context(socket.create_server(("127.0.0.1", 0))), opened)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OcattachError, EnvironmentState.UNAVAILABLE),
        (OpencodeNotFoundError, EnvironmentState.UNAVAILABLE),
        (EnvironmentNotFoundError, EnvironmentState.UNAVAILABLE),
        (EnvironmentNotRunningError, EnvironmentState.UNAVAILABLE),
        (UnreachableError, EnvironmentState.UNREACHABLE),
        (ConnectionLostError, EnvironmentState.UNREACHABLE),
        (TimedOutError, EnvironmentState.UNREACHABLE),
        (DaemonNotRunningError, EnvironmentState.STOPPED),
        (AuthenticationError, EnvironmentState.LOCKED),
        (HostKeyError, EnvironmentState.LOCKED),
        (NotTrustedError, EnvironmentState.UNTRUSTED),
    ],
)
def test_every_error_is_a_state(error: type[OcattachError], state: EnvironmentState) -> None:
    assert state_of(error("x")) is state


def course(
    finding: EnvironmentStatus, environ: dict[str, str], *, took: float, failures: int = 0
) -> ProbeState:
    """The course of asking about something, as it ended."""
    spec = spec_of_nothing()
    journal = Journal(Names([spec], environ), environ)
    probe = EnvironmentProbe(spec, [None], environ=environ, refusal=None, journal=journal)
    return ProbeState(probe, began=100.0, ended=100.0 + took, failures=failures, statuses={None: finding})


def spec_of_nothing() -> ConnectionSpec:
    return ConnectionSpec.from_entry({"transport": "local"})


def test_what_fails_or_costs_much_is_asked_less_and_less_often(environ: dict[str, str]) -> None:
    fine = EnvironmentStatus(state=EnvironmentState.RUNNING)
    dead = EnvironmentStatus(state=EnvironmentState.UNREACHABLE)

    assert pause_after(course(fine, environ, took=0.01)) == 3
    assert pause_after(course(fine, environ, took=0.5)) == 10
    growing = [pause_after(course(dead, environ, took=0.01, failures=count)) for count in range(1, 1100)]
    assert growing[:4] == [6, 12, 24, 48]
    assert set(growing[4:]) == {60}
    assert pause_after(course(dead, environ, took=5, failures=1)) == 6


@pytest.mark.parametrize(
    ("state", "version", "is_known"),
    [
        (EnvironmentState.RUNNING, "1.18.33", True),
        (EnvironmentState.WAITING, "1.18.33", True),
        (EnvironmentState.STOPPED, None, True),
        (EnvironmentState.RUNNING, None, False),
        (EnvironmentState.UNREACHABLE, "1.18.33", False),
        (EnvironmentState.UNAVAILABLE, "1.18.33", False),
    ],
)
def test_what_does_not_answer_does_not_take_the_place_of_what_was_known(
    state: EnvironmentState, version: str | None, is_known: bool
) -> None:
    assert (to_be_known(EnvironmentStatus(state=state, version=version)) is not None) == is_known


def test_a_link_that_has_come_up_is_asked_soon_however_long_the_environment_took(
    environ: dict[str, str],
) -> None:
    asked_itself = EnvironmentStatus(state=EnvironmentState.RUNNING, through="environment")
    told_by_link = EnvironmentStatus(state=EnvironmentState.RUNNING, through="link")
    assert pause_after(course(asked_itself, environ, took=1)) == 20

    files = link_files(spec_of_nothing().link_key(environ), environ)
    files.socket.parent.mkdir(parents=True, exist_ok=True)
    files.socket.touch()

    assert pause_after(course(asked_itself, environ, took=1)) == 3
    assert pause_after(course(told_by_link, environ, took=1)) == 20


def test_refused_credentials_are_not_tried_again_soon(environ: dict[str, str]) -> None:
    refused = status_of(AuthenticationError("no"), through="environment")
    told_by_link = status_of(AuthenticationError("no"), through="link")

    assert pause_after(course(refused, environ, took=0.1, failures=1)) == 300
    assert pause_after(course(told_by_link, environ, took=0.1)) == 3


def test_who_has_not_answered_is_not_asked_once_more(environ: dict[str, str], silent: Silent) -> None:
    with Survey([SurveyedConnection(silent.spec())], environ=environ, timeout=60) as survey:
        survey.ask()
        survey.ask()
        wait_until(silent.dials, "the first question")
        survey.ask()
        survey.ask_due()
        assert not survey.is_done
        assert survey.statuses() == [None]
        assert silent.dials() == 0


def test_the_deadline_is_kept_by_who_waits_whatever_the_threads_do(
    environ: dict[str, str], silent: Silent
) -> None:
    with Survey([SurveyedConnection(silent.spec())], environ=environ, timeout=0.2) as survey:
        survey.ask()
        wait_until(lambda: survey.is_done, "the deadline")
        (finding,) = survey.statuses()

    assert finding is not None
    assert finding.state is EnvironmentState.UNREACHABLE
    assert finding.reason == "No answer within 0.2 s"


def test_names_with_different_credentials_are_asked_each_for_itself(
    environ: dict[str, str], silent: Silent
) -> None:
    entries = [SurveyedConnection(silent.spec(password_env=name)) for name in ("PATH", "HOME", "PATH")]
    with Survey(entries, environ=environ, timeout=60) as survey:
        survey.ask()
        seen = []

        def two() -> bool:
            seen.append(silent.dials())
            return sum(seen) >= 2

        wait_until(two, "two questions")
        assert sum(seen) == 2


def test_a_query_that_ends_after_the_fan_out_is_closed_cleans_up(environ: dict[str, str]) -> None:
    fanout, go_on, cleaned_up = FanOut[str](60, environ), threading.Event(), threading.Event()
    failures: list[OcattachError] = []

    def query() -> None:
        go_on.wait()

    assert fanout.start("host", query, failures.append, clean_up=cleaned_up.set)
    assert not fanout.start("host", query, failures.append)
    fanout.close()
    assert not cleaned_up.is_set()
    go_on.set()

    assert cleaned_up.wait(10)
    assert not fanout.start("host", query, failures.append)
