"""Promises that hold for every way to a daemon, also where nothing but its URL is known; all on the real OpenCode."""

import pytest

from ocattach.errors import EnvironmentNotFoundError, OcattachError, UnreachableError, WorkdirNotFoundError
from tests.contract.test_daemons import daemons
from tests.environments import Environment

pytestmark = pytest.mark.every_way_in


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: nothing here changes it."""
    return shared_environment


def test_an_environment_that_can_be_used_says_so(environment: Environment) -> None:
    with environment.way_in() as handler:
        assert handler.check_available().summary


def test_a_daemon_runs_only_where_one_was_started(environment: Environment) -> None:
    with environment.way_in() as handler:
        assert handler.check_daemon_running().running != environment.starts_daemons

    assert bool(daemons(environment)) != environment.starts_daemons


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
