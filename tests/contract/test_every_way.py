"""Promises that hold for every way to a daemon, also where nothing but its URL is known; all on the real OpenCode."""

import base64
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import EnvironmentNotFoundError, OcattachError, UnreachableError, WorkdirNotFoundError
from ocattach.transports.base import TransportHandler
from ocattach.tunnel.tunnel import Tunnel
from tests.contract.test_daemons import daemons
from tests.contract.test_tunnels import descriptors
from tests.environments import Environment
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.every_way_in

MEGABYTE = 1024 * 1024
SECONDS = 30


def running_daemon(handler: TransportHandler) -> FoundDaemon:
    """The daemon that runs, or one that is started."""
    status = handler.check_daemon_running()
    daemon = (status if status.running else handler.start_daemon()).daemon
    assert daemon is not None
    return daemon


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


def test_an_environment_that_can_be_used_says_so(environment: Environment) -> None:
    with environment.way_in() as handler:
        assert handler.check_available().summary


def test_a_daemon_that_runs_is_found_as_often_as_it_is_looked_for(environment: Environment) -> None:
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        again = handler.check_daemon_running()

    assert again.running
    assert not again.started
    assert again.daemon == daemon
    assert handler.workdir == environment.workdir


def test_starting_where_a_daemon_runs_starts_none(environment: Environment) -> None:
    with environment.way_in() as handler:
        daemon = running_daemon(handler)
        status = handler.start_daemon()

    assert not status.started
    assert status.daemon == daemon
    assert len(daemons(environment)) <= 1  # none where it is somebody else's


def test_through_a_tunnel_the_daemon_answers_those_who_have_its_credentials(environment: Environment) -> None:
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
