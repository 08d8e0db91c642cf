"""Promises about the daemon of an environment; every daemon here is the real OpenCode."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ocattach.errors import DaemonStartError, OpencodeNotFoundError
from tests.environments import Environment
from tests.rigs.waiting import wait_until


def daemons(environment: Environment) -> list[psutil.Process]:
    """The daemons that run there, seen from outside."""
    return [process for process in environment.processes() if is_serving(process)]


def is_serving(process: psutil.Process) -> bool:
    """Whether it is a daemon that still lives."""
    try:
        return "serve" in process.cmdline()
    except psutil.NoSuchProcess:  # zombies too
        return False


def test_no_daemon_runs_where_none_was_started(environment: Environment) -> None:
    with environment.handler() as handler:
        assert not handler.check_daemon_running().running

    assert not daemons(environment)


def test_a_started_daemon_is_found_by_another_client(environment: Environment) -> None:
    with environment.handler() as first:
        started = first.start_daemon()
    with environment.handler() as second:
        found = second.check_daemon_running()

    assert started.started
    assert found.running
    assert started.daemon is not None
    assert found.daemon is not None
    assert (started.daemon.pid, started.daemon.password) == (found.daemon.pid, found.daemon.password)


def test_clients_that_start_at_the_same_moment_end_up_with_one_daemon(environment: Environment) -> None:
    handlers = [environment.handler() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda handler: handler.start_daemon(), handlers))
    for handler in handlers:
        handler.disconnect()

    assert sorted(result.started for result in results) == [False, False, True]
    assert len({result.daemon for result in results}) == 1
    assert len(daemons(environment)) == 1


def test_a_daemon_started_by_hand_is_found_with_its_password(environment: Environment) -> None:
    script = (
        "cd; OPENCODE_SERVER_PASSWORD=by-hand; export OPENCODE_SERVER_PASSWORD;"
        '"$1" serve --hostname 127.0.0.1 --port "$2" </dev/null >/dev/null 2>&1 &'
    )
    with environment.network.listen(0) as free:
        port = free.getsockname()[1]
    with environment.handler() as handler:
        program = handler.probe().opencode
        assert program is not None
        handler.run(["sh", "-c", script, "sh", program, str(port)], timeout=10)
        found = wait_until(lambda: handler.check_daemon_running().daemon, "the daemon to be found")

        assert (port, "by-hand", False) == (found.port, found.password, found.recorded)
        assert handler.stop_daemon(force=True) == found.pid


def test_stopping_ends_the_daemon_we_started(environment: Environment) -> None:
    with environment.handler() as handler:
        handler.start_daemon()
        handler.stop_daemon()

        assert not daemons(environment)
        assert not handler.check_daemon_running().running


def test_a_daemon_with_a_home_of_the_connections_own_is_found_and_ended(environment: Environment) -> None:
    home = f"{environment.workdir}/home"
    with environment.handler() as usual:
        program = usual.probe().opencode
    with environment.handler(env={"HOME": home}, opencode=program) as handler:
        handler.run(["mkdir", home], timeout=10)
        started = handler.start_daemon().daemon

        assert started is not None
        assert handler.check_daemon_running().daemon == started
        assert handler.stop_daemon() == started.pid
        assert not handler.check_daemon_running().running


def test_what_is_recorded_in_the_environment_is_private(environment: Environment) -> None:
    with environment.handler() as handler:
        handler.start_daemon()
    state = environment.home / ".local/state/ocattach"

    kept = [state, *state.rglob("*")]

    assert len(kept) > 3
    for path in kept:
        expected = 0o700 if path.is_dir() else 0o600
        assert expected == stat.S_IMODE(path.stat().st_mode), path


def test_what_the_agent_writes_has_the_rights_that_the_account_gives(environment: Environment) -> None:
    with environment.handler() as handler:
        handler.start_daemon()
        usual = handler.run(["sh", "-c", "umask"], timeout=10).stdout.decode().strip()
    status = Path(f"/proc/{daemons(environment)[0].pid}/status").read_text()

    assert f"Umask:\t{usual}\n" in status


def test_a_taken_port_is_told(environment: Environment) -> None:
    with environment.network.listen(0) as taken:
        port = taken.getsockname()[1]
        with (
            environment.handler(daemon_port=port) as handler,
            pytest.raises(DaemonStartError, match=str(port)),
        ):
            handler.start_daemon()


def test_a_home_that_cannot_be_written_is_told(environment: Environment) -> None:
    with (
        environment.handler(env={"HOME": "/proc"}) as handler,
        pytest.raises(DaemonStartError, match="/proc"),
    ):
        handler.start_daemon()


def test_an_opencode_that_is_not_there_is_told_with_where_it_was_looked_for(environment: Environment) -> None:
    with (
        environment.handler(opencode="/opt/no/opencode") as handler,
        pytest.raises(OpencodeNotFoundError, match="/opt/no/opencode"),
    ):
        handler.start_daemon()
