"""Promises about a daemon that runs, and before one does, for every connection; all on the real OpenCode.

The first tests find none running, unless only its URL is known. Nothing else changes an environment: one serves all.
"""

import base64
import http.client
import json
import stat
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import EnvironmentNotFoundError, OcattachError, UnreachableError, WorkdirNotFoundError
from ocattach.tunnel.tunnel import Tunnel
from tests.contract.test_daemons import daemons, running_daemon
from tests.contract.test_tunnels import descriptors
from tests.environments import Environment
from tests.rigs.waiting import wait_until

MEGABYTE = 1024 * 1024
SECONDS = 30


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: first without a daemon, then with one."""
    return shared_environment


@contextmanager
def response(
    tunnel: Tunnel, daemon: FoundDaemon | None, path: str, body: Any = None
) -> Iterator[http.client.HTTPResponse]:
    """What comes through the tunnel for a request, with the credentials that were found."""
    headers: Mapping[str, str] = {}
    if daemon is not None:
        credentials = base64.b64encode(f"{daemon.username}:{daemon.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", tunnel.port, timeout=SECONDS)
    try:
        connection.request(
            "GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers
        )
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


@pytest.mark.every_way_in
def test_an_environment_that_can_be_used_says_so(environment: Environment) -> None:
    with environment.way_in() as handler:
        assert handler.check_available().summary


@pytest.mark.every_way_in
def test_a_daemon_runs_only_where_one_was_started(environment: Environment) -> None:
    with environment.way_in() as handler:
        assert handler.check_daemon_running().running != environment.starts_daemons

    assert bool(daemons(environment)) != environment.starts_daemons


@pytest.mark.every_way_in
def test_a_working_directory_that_the_daemon_does_not_have_is_told(environment: Environment) -> None:
    with environment.way_in(workdir="/no/such/place") as handler:
        with pytest.raises(WorkdirNotFoundError, match="/no/such/place") as raised:
            handler.check_daemon_running()

        assert raised.value.hint


@pytest.mark.every_way_in
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


@pytest.mark.every_way_in
def test_a_daemon_that_somebody_else_started_is_not_ended_unasked(environment: Environment) -> None:
    if environment.starts_daemons:
        return  # see `test_daemons`
    with environment.way_in() as handler, pytest.raises(OcattachError, match="not started by ocattach"):
        handler.stop_daemon()

    assert all(process.is_running() for process in environment.processes())


@pytest.mark.every_way_in
def test_a_daemon_that_runs_is_found_as_often_as_it_is_looked_for(environment: Environment) -> None:
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        again = handler.check_daemon_running()

    assert again.running
    assert not again.started
    assert again.daemon == daemon
    assert handler.workdir == environment.workdir


@pytest.mark.every_way_in
def test_starting_where_a_daemon_runs_starts_none(environment: Environment) -> None:
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        status = handler.start_daemon()

    assert not status.started
    assert status.daemon == daemon
    assert len(daemons(environment)) <= 1  # none where it is somebody else's


def test_a_daemon_is_found_by_another_client(environment: Environment) -> None:
    with environment.handler() as first:
        known = running_daemon(first)
    with environment.handler() as second:
        found = second.check_daemon_running()

    assert found.running
    assert found.daemon is not None
    assert (known.pid, known.password) == (found.daemon.pid, found.daemon.password)


def test_what_is_recorded_in_the_environment_is_private(environment: Environment) -> None:
    with environment.handler() as handler:
        running_daemon(handler)
    state = environment.home / ".local/state/ocattach"

    kept = [state, *state.rglob("*")]

    assert len(kept) > 3
    for path in kept:
        expected = 0o700 if path.is_dir() else 0o600
        assert expected == stat.S_IMODE(path.stat().st_mode), path


def test_what_the_agent_writes_has_the_rights_that_the_account_gives(environment: Environment) -> None:
    with environment.handler() as handler:
        running_daemon(handler)
        usual = handler.run(["sh", "-c", "umask"], timeout=60).stdout.decode().strip()
    status = Path(f"/proc/{daemons(environment)[0].pid}/status").read_text()

    assert f"Umask:\t{usual}\n" in status


@pytest.mark.every_way_in
def test_through_a_tunnel_the_daemon_answers_those_who_have_its_credentials(
    environment: Environment,
) -> None:
    where = f"directory={quote(environment.workdir, safe='')}"
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        with handler.connect(daemon.port) as tunnel:
            with response(tunnel, daemon, "/global/health") as health:
                assert json.load(health)["healthy"]
            with response(tunnel, daemon, f"/session?{where}", {"title": "x" * MEGABYTE}) as made:
                session = json.load(made)
            with response(tunnel, daemon, f"/session/{session['id']}") as found:
                assert json.load(found)["title"] == "x" * MEGABYTE
            with response(tunnel, None, "/global/health") as refused:
                assert refused.status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}

    assert session["directory"] == environment.workdir


def test_a_relay_that_starts_early_has_nothing_of_what_is_set_for_the_daemon(
    environment: Environment,
) -> None:
    with environment.handler(env={"ONLY_FOR_THE_DAEMON": "secret"}) as handler:
        daemon = running_daemon(handler)
        handler.prepare_tunnel()
        assert handler.check_daemon_running().daemon == daemon
        with handler.connect(daemon.port) as tunnel:
            with response(tunnel, daemon, "/global/health") as health:
                assert json.load(health)["healthy"]
            if (
                environment.entry["transport"] != "netns"
            ):  # of its processes only daemons are known by their home
                expected = int(tunnel.route_name == "relay")
                # One that was given up ends with its input.
                wait_until(lambda: len(relays_of(environment)) == expected, "the other relays to end")
            relays = relays_of(environment)
            assert not any("ONLY_FOR_THE_DAEMON" in relay.environ() for relay in relays)


def relays_of(environment: Environment) -> list[psutil.Process]:
    """The relays that run there."""
    return [each for each in environment.processes() if is_relay(each)]


def is_relay(process: psutil.Process) -> bool:
    """Whether a process is a relay that runs."""
    with suppress(psutil.Error):
        return any("far end of a tunnel" in word for word in process.cmdline())
    return False


@pytest.mark.every_way_in
def test_events_come_at_once_while_other_requests_are_answered(environment: Environment) -> None:
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        with (
            handler.connect(daemon.port) as tunnel,
            response(tunnel, daemon, f"/event?directory={quote(environment.workdir)}") as events,
        ):
            assert b"server.connected" in events.readline()

            def answers(_: int) -> bool:
                with response(tunnel, daemon, "/global/health") as health:
                    return health.status == http.client.OK

            with ThreadPoolExecutor(20) as pool:
                assert all(pool.map(answers, range(60)))
            with response(tunnel, daemon, f"/session?directory={quote(environment.workdir)}", {}) as made:
                session = json.load(made)["id"]
            assert any(session.encode() in line for line in events)


@pytest.mark.every_way_in
def test_one_connection_carries_request_after_request(environment: Environment) -> None:
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        credentials = base64.b64encode(f"{daemon.username}:{daemon.password}".encode()).decode()
        with handler.connect(daemon.port) as tunnel:
            connection = http.client.HTTPConnection("127.0.0.1", tunnel.port, timeout=SECONDS)
            connection.connect()
            first = connection.sock
            for body in (None, b'{"title": "in one piece"}', iter([b'{"title": ', b'"in chunks"}']), None):
                connection.request(
                    "GET" if body is None else "POST",
                    "/session",
                    body,
                    {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
                    encode_chunked=True,
                )
                answer = connection.getresponse()
                assert answer.status == http.client.OK, answer.read()
                answer.read()
            assert connection.sock is first
            connection.close()


def left_open(before: set[str]) -> set[str]:
    return {opened for opened in descriptors() - before if not opened.startswith("/dev/null")}


@pytest.mark.every_way_in
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
    wait_until(lambda: not left_open(before[0]), "what was opened to be closed")
