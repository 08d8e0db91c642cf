"""What a running daemon gives, whichever way leads to it; nothing here changes its environment, so one serves all."""

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from ocattach.daemon.probe import FoundDaemon
from ocattach.transports.base import TransportHandler
from ocattach.tunnel.tunnel import Tunnel
from tests.contract.test_daemons import daemons
from tests.environments import Environment

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


def test_a_daemon_that_runs_is_found_as_often_as_it_is_looked_for(shared_environment: Environment) -> None:
    with shared_environment.way_in() as handler:
        daemon = running_daemon(handler)
        again = handler.check_daemon_running()

    assert again.running
    assert not again.started
    assert again.daemon == daemon
    assert handler.workdir == shared_environment.workdir


def test_starting_where_a_daemon_runs_starts_none(shared_environment: Environment) -> None:
    with shared_environment.way_in() as handler:
        daemon = running_daemon(handler)
        status = handler.start_daemon()

    assert not status.started
    assert status.daemon == daemon
    assert len(daemons(shared_environment)) <= 1  # none where it is somebody else's


def test_through_a_tunnel_the_daemon_answers_those_who_have_its_credentials(
    shared_environment: Environment,
) -> None:
    where = f"directory={quote(shared_environment.workdir, safe='')}"
    with shared_environment.way_in() as handler:
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

    assert session["directory"] == shared_environment.workdir


def test_events_come_at_once_while_other_requests_are_answered(shared_environment: Environment) -> None:
    with shared_environment.way_in() as handler:
        daemon = running_daemon(handler)
        with (
            handler.connect(daemon.port) as tunnel,
            response(tunnel, daemon, f"/event?directory={quote(shared_environment.workdir)}") as events,
        ):
            assert b"server.connected" in events.readline()

            def answers(_: int) -> bool:
                with response(tunnel, daemon, "/global/health") as health:
                    return health.status == http.client.OK

            with ThreadPoolExecutor(20) as pool:
                assert all(pool.map(answers, range(60)))
            with response(
                tunnel, daemon, f"/session?directory={quote(shared_environment.workdir)}", {}
            ) as made:
                session = json.load(made)["id"]
            assert any(session.encode() in line for line in events)


def test_one_connection_carries_request_after_request(shared_environment: Environment) -> None:
    with shared_environment.way_in() as handler:
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
