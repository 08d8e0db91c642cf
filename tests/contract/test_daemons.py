"""Promises about the daemon of an environment; every daemon here is the real OpenCode."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import DaemonStartError, OpencodeNotFoundError
from ocattach.transports.base import TransportHandler
from tests.environments import Environment
from tests.rigs.waiting import wait_until

SECONDS = 30
pytestmark = pytest.mark.one_of_each(without=["podman", "http"])

by_script = pytest.mark.one_of_each(without=["podman", "http", "k8s", "local", "netns"])
"""What a script does that is the same everywhere: in a container as root, and on a host as an ordinary user."""


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: a daemon may run there, or not."""
    return shared_environment


@pytest.fixture
def cold(environment: Environment) -> Environment:
    """The same where none runs."""
    for process in daemons(environment):
        process.kill()
    wait_until(lambda: not daemons(environment), "the daemons to end")
    return environment


def running_daemon(handler: TransportHandler) -> FoundDaemon:
    """The daemon that runs, or one that is started."""
    status = handler.check_daemon_running()
    daemon = (status if status.running else handler.start_daemon()).daemon
    assert daemon is not None
    return daemon


def daemons(environment: Environment) -> list[psutil.Process]:
    """The daemons that run there, seen from outside."""
    return [process for process in environment.processes() if is_serving(process)]


def is_serving(process: psutil.Process) -> bool:
    """Whether it is a daemon that still lives."""
    try:
        return "serve" in process.cmdline()
    except psutil.NoSuchProcess:  # zombies too
        return False


def test_clients_that_start_at_the_same_moment_end_up_with_one_daemon(cold: Environment) -> None:
    handlers = [cold.handler() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda handler: handler.start_daemon(), handlers))
    for handler in handlers:
        handler.disconnect()

    assert sorted(result.started for result in results) == [False, False, True]
    assert len({result.daemon for result in results}) == 1
    assert len(daemons(cold)) == 1


@pytest.mark.every_way_in
def test_a_daemon_that_died_is_not_believed_to_run(environment: Environment) -> None:
    with environment.way_in() as handler:
        running_daemon(handler)
        for process in environment.processes():
            with suppress(psutil.NoSuchProcess):  # a child that ended with its parent
                process.kill()
            process.wait(SECONDS)

        assert not handler.check_daemon_running().running
        if environment.starts_daemons:
            assert handler.start_daemon().started


def test_stopping_ends_the_daemon_we_started(environment: Environment) -> None:
    with environment.handler() as handler:
        running_daemon(handler)
        assert daemons(environment)
        handler.stop_daemon()

        assert not daemons(environment)
        assert not handler.check_daemon_running().running


@by_script
def test_a_daemon_started_by_hand_is_found_with_its_password(cold: Environment) -> None:
    script = (
        "cd; OPENCODE_SERVER_PASSWORD=by-hand; export OPENCODE_SERVER_PASSWORD;"
        '"$1" serve --hostname 127.0.0.1 --port "$2" </dev/null >/dev/null 2>&1 &'
    )
    with cold.network.listen(0) as free:
        port = free.getsockname()[1]
    with cold.handler() as handler:
        program = handler.probe().opencode
        assert program is not None
        handler.run(["sh", "-c", script, "sh", program, str(port)], timeout=10)
        found = wait_until(
            lambda: handler.check_daemon_running().daemon, "the daemon to be found", interval=0.2
        )

        assert (port, "by-hand", False) == (found.port, found.password, found.recorded)
        assert handler.stop_daemon(force=True) == found.pid


@by_script
def test_a_daemon_with_variables_of_the_connections_own_is_found_and_ended(
    cold: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, key = f"{cold.workdir}/home", "-----BEGIN\n  it's $HOME\\n\n-----END\n"
    monkeypatch.setenv("SHOP_KEY", key)
    with cold.handler() as usual:
        program = usual.probe().opencode
    variables = {"HOME": home, "TEXT": key}
    with cold.handler(env=variables, forward_env=["SHOP_KEY"], opencode=program) as handler:
        handler.run(["mkdir", home], timeout=10)
        started = handler.start_daemon().daemon

        assert started is not None
        assert {**variables, "SHOP_KEY": key}.items() <= daemons(cold)[-1].environ().items()
        assert handler.check_daemon_running().daemon == started
        assert handler.stop_daemon() == started.pid
        assert not handler.check_daemon_running().running


@by_script
def test_a_taken_port_is_told(cold: Environment) -> None:
    with cold.network.listen(0) as taken:
        port = taken.getsockname()[1]
        with (
            cold.handler(daemon_port=port) as handler,
            pytest.raises(DaemonStartError, match=str(port)),
        ):
            handler.start_daemon()


@by_script
def test_a_home_that_cannot_be_written_is_told(cold: Environment) -> None:
    with (
        cold.handler(env={"HOME": "/proc"}) as handler,
        pytest.raises(DaemonStartError, match="/proc"),
    ):
        handler.start_daemon()


@by_script
def test_an_opencode_that_is_not_there_is_told_with_where_it_was_looked_for(cold: Environment) -> None:
    with (
        cold.handler(opencode="/opt/no/opencode") as handler,
        pytest.raises(OpencodeNotFoundError, match="/opt/no/opencode"),
    ):
        handler.start_daemon()
