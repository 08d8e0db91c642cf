"""Promises that hold for every way to a daemon, also where nothing but its URL is known; all on the real OpenCode."""

import http.client
import threading

import pytest

from ocattach.errors import EnvironmentNotFoundError, OcattachError, UnreachableError, WorkdirNotFoundError
from tests.contract.test_running_daemon import response, running_daemon
from tests.contract.test_tunnels import descriptors
from tests.environments import Environment
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.every_way_in

SECONDS = 30


def test_an_environment_that_can_be_used_says_so(environment: Environment) -> None:
    with environment.way_in() as handler:
        assert handler.check_available().summary


def test_disconnecting_leaves_nothing_here(environment: Environment) -> None:
    with environment.way_in() as handler:
        port = running_daemon(handler).port
        handler.connect(port).close()  # whatever is only imported once
    before = descriptors(), threading.active_count()
    handler = environment.way_in()
    daemon = running_daemon(handler)
    tunnel = handler.connect(daemon.port)
    with response(tunnel, daemon, "/global/health") as health:
        assert health.status == http.client.OK
    handler.disconnect()
    handler.disconnect()

    wait_until(lambda: threading.active_count() <= before[1] + 1, "the threads to end")
    assert before[0] >= descriptors() - {fd for fd in descriptors() if fd.startswith("/dev/null")}


def test_a_daemon_that_died_is_not_believed_to_run(environment: Environment) -> None:
    with environment.way_in() as handler:
        running_daemon(handler)
        for process in environment.processes():
            process.kill()
            process.wait(SECONDS)

        assert not handler.check_daemon_running().running
        if environment.starts_daemons:
            assert handler.start_daemon().started


def test_a_working_directory_that_the_daemon_does_not_have_is_told(environment: Environment) -> None:
    with environment.way_in(workdir="/no/such/place") as handler:
        with pytest.raises(WorkdirNotFoundError, match="/no/such/place") as raised:
            handler.check_daemon_running()

        assert raised.value.hint


def test_an_environment_that_is_not_there_is_named_with_what_to_do(environment: Environment) -> None:
    if environment.missing is None:
        assert environment.entry["transport"] == "local"  # which is always there
        return
    with environment.way_in(**environment.missing) as handler, pytest.raises(UnreachableError) as raised:
        handler.check_available()

    *_, name = environment.missing.values()
    assert name in raised.value.message
    assert raised.value.hint
    if isinstance(raised.value, EnvironmentNotFoundError):
        assert "frontend-app" in raised.value.hint, "a near name"


def test_a_daemon_that_somebody_else_started_is_not_ended_unasked(environment: Environment) -> None:
    if environment.starts_daemons:
        return  # see `test_daemons`
    with environment.way_in() as handler, pytest.raises(OcattachError, match="not started by ocattach"):
        handler.stop_daemon()

    assert all(process.is_running() for process in environment.processes())
