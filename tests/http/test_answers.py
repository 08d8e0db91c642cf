"""What answers in the place of a daemon is called what it is, and no credentials follow it elsewhere."""

import json
import socket

import pytest

from ocattach.errors import (
    AuthenticationError,
    DaemonNotRunningError,
    OcattachError,
    OpencodeIncompatibleError,
    TimedOutError,
    UnreachableError,
)
from tests.http.conftest import Open
from tests.rigs.http_daemon import free_port
from tests.rigs.http_servers import Server, answer, serve

HEALTH = json.dumps({"healthy": True, "version": "1.18.33"})


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("text/html", "<title>OpenCode</title>", "a web page"),
        ("text/html; charset=utf-8", "<h1>Log in to the hotel's network</h1>", "a web page"),
        ("text/plain", "hello", "text/plain"),
        ("application/json", '{"status": "UP"}', "JSON without a version"),
        ("application/json", "[]", "JSON without a version"),
        ("application/json", "{ this is none", "application/json"),
    ],
)
def test_an_answer_that_is_not_opencodes_is_called_what_it_is(
    open_url: Open, kind: str, body: str, words: str
) -> None:
    with (
        serve(answer("200 OK", body, kind=kind)) as server,
        open_url(server.url) as handler,
        pytest.raises(OpencodeIncompatibleError) as raised,
    ):
        handler.check_available()

    assert server.url in raised.value.message
    assert f"{words} (status 200)" in raised.value.message
    assert raised.value.hint


def test_a_redirect_is_named_and_not_followed(open_url: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "s3cret")
    with serve(answer("200 OK", HEALTH)) as elsewhere:
        moved = answer("302 Found", headers=f"Location: {elsewhere.url}/sign-in\r\n")
        with (
            serve(moved) as server,
            open_url(server.url, password_env="PASSWORD") as handler,
            pytest.raises(UnreachableError, match="redirects") as raised,
        ):
            handler.check_available()

        assert f"{elsewhere.url}/sign-in" in raised.value.message
        assert not elsewhere.heads
    assert len(server.heads) == 1


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_a_gateway_without_its_daemon_is_told_from_a_daemon(open_url: Open, status: str) -> None:
    with serve(answer(status, kind="text/html")) as server, open_url(server.url) as handler:
        with pytest.raises(DaemonNotRunningError, match=status[:3]) as raised:
            handler.check_available()

        assert not handler.check_daemon_running().running
    assert "opencode serve" in raised.value.hint


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        ("403 Forbidden", "", "refuses us"),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Bearer realm=gateway\r\n",
            "another proof than a password: Bearer",
        ),
        ("401 Unauthorized", "", "another proof than a password"),
    ],
)
def test_a_gateway_that_wants_something_else_than_a_password_is_told(
    open_url: Open, status: str, headers: str, words: str
) -> None:
    with (
        serve(answer(status, headers=headers)) as server,
        open_url(server.url) as handler,
        pytest.raises(AuthenticationError, match=words) as raised,
    ):
        handler.check_available()

    assert "headers" in raised.value.hint


def test_where_nothing_listens_the_next_step_is_told(open_url: Open) -> None:
    port = free_port()
    with open_url(f"http://localhost:{port}") as handler:
        with pytest.raises(DaemonNotRunningError, match="connection refused") as raised:
            handler.check_available()

        assert not handler.check_daemon_running().running
        with pytest.raises(DaemonNotRunningError):
            handler.start_daemon()
    assert f"opencode serve --port {port}" in raised.value.hint


def test_a_host_that_does_not_exist_is_told(open_url: Open) -> None:
    with (
        open_url("http://no-such-host.invalid:4096") as handler,
        pytest.raises(UnreachableError, match="no-such-host"),
    ):
        handler.check_available()


def silent(_: socket.socket, server: Server) -> None:
    """Never answer."""
    server.gone.wait()


def trickle(connection: socket.socket, server: Server) -> None:
    """Answer a byte at a time, so that no single wait is long."""
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )
    while not server.gone.wait(0.05):
        connection.sendall(b" ")


@pytest.mark.parametrize("behaviour", [silent, trickle])
def test_a_server_that_never_ends_its_answer_is_given_up(open_url: Open, behaviour: object) -> None:
    with (
        serve(behaviour) as server,  # type: ignore[arg-type]
        open_url(server.url, timeout=1) as handler,
        pytest.raises(TimedOutError, match="does not answer"),
    ):
        handler.check_available()


def endless(connection: socket.socket, server: Server) -> None:
    """Answer without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not server.gone.is_set():
        connection.sendall(bytes(1024 * 1024))


def endless_head(connection: socket.socket, server: Server) -> None:
    """Send headers without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.gone.is_set():
        connection.sendall(b"X-Again: and again\r\n" * 1000)


def no_http(connection: socket.socket, _: Server) -> None:
    """Speak something else."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.mark.parametrize("behaviour", [endless, endless_head, no_http])
def test_an_answer_beyond_bounds_is_one_clear_error(open_url: Open, behaviour: object) -> None:
    with (
        serve(behaviour) as server,  # type: ignore[arg-type]
        open_url(server.url) as handler,
        pytest.raises(UnreachableError, match="cannot be reached") as raised,
    ):
        handler.check_available()

    assert server.url in raised.value.message


def test_an_error_of_the_session_request_is_opencodes_own(open_url: Open) -> None:
    broken = {"name": "ConfigJsonError", "data": {"path": "/home/me/opencode.json", "message": "bad"}}

    def behave(connection: socket.socket, server: Server) -> None:
        healthy = "/global/health" in server.heads[-1]
        answer(*(("200 OK", HEALTH) if healthy else ("400 Bad Request", json.dumps(broken))))(
            connection, server
        )

    with (
        serve(behave) as server,
        open_url(server.url) as handler,
        pytest.raises(OcattachError, match=r"/home/me/opencode\.json: bad") as raised,
    ):
        handler.check_daemon_running()

    assert raised.value.code == "environment-config"
