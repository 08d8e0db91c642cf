"""Engines and clusters that hang up in TLS, or answer with JSON of another shape, are one row."""

import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from ocattach.cli.terminal import escape
from ocattach.config.spec import ConnectionSpec
from ocattach.survey.environment_status import EnvironmentState, EnvironmentStatus
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.status import Survey
from tests.rigs.certificates import Authority
from tests.rigs.http_servers import Server, serve
from tests.rigs.odd_daemon import odd_daemon

SECONDS = 10.0
DEEP = b"[" * 100_000
BODIES = {
    "an array": b"[]",
    "an empty object": b"{}",
    "a number": b"1",
    "nothing": b"",
    "half": b'{"State": {',
    "brackets": DEEP,
    "nesting": b"[" * 500 + b"]" * 500,
    "a state that is a number": b'{"State": 1, "Name": "/a"}',
    "a status that is a list": b'{"State": {"Status": ["x"]}, "Name": "/a"}',
    "a name that is a number": b'{"State": {"Status": "running"}, "Name": 7, "Id": 8}',
    "a state of braces": b'{"State": {"Status": "{0.__class__}"}, "Name": "/{program}"}',
    "items that are numbers": b'{"items": [1]}',
    "items that are no list": b'{"items": {"a": 1}}',
    "a pod without containers": b'{"metadata": {"name": "a", "uid": "u"}, "spec": {}, "status": {"conditions": 7}}',
    "a pod of no types": b'{"metadata": {"name": 1, "uid": []}, "spec": {"containers": [{"name": {}}]}}',
    "no UTF-8": b"\xff\xfe\x00",
    "a surrogate": b'{"State": {"Status": "\\ud800"}, "Name": "\\udfff"}',
}


def surveyed(*specs: ConnectionSpec, environ: dict[str, str]) -> list[EnvironmentStatus]:
    """What `--status` says; each has an answer within the deadline."""
    with Survey([SurveyedConnection(each) for each in specs], environ=environ, timeout=SECONDS) as survey:
        survey.ask()
        while not survey.is_done:
            survey.await_change(0.05)
        statuses = survey.statuses()
    found = [status for status in statuses if status is not None]
    assert len(found) == len(specs)
    return found


@pytest.fixture
def environ(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("CONFIG", "STATE", "RUNTIME"):
        (workdir / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"OCATTACH_{name}_DIR", str(workdir / name))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


@contextmanager
def engine(path: Path, body: bytes) -> Iterator[str]:
    """An engine on a socket that answers everything but its ping so."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            content = b"OK" if self.path.endswith("/_ping") else body
            self.wfile.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n")
            self.wfile.write(b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 - of the base class

        def address_string(self) -> str:
            return ""

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "target", [{"container": "a"}, {"compose": {"project": "p", "service": "s"}}], ids=str
)
def test_an_engine_whose_json_makes_no_sense_is_one_row(
    workdir: Path, environ: dict[str, str], body: bytes, target: dict[str, Any]
) -> None:
    with engine(workdir / "engine.sock", body) as host:
        entry = {"transport": "docker", "host": host, **target}
        (status,) = surveyed(ConnectionSpec.from_entry(entry), environ=environ)

    assert not status.is_defect
    assert status.state in {EnvironmentState.UNREACHABLE, EnvironmentState.UNAVAILABLE}
    escape(status.reason).encode()


def use_cluster(url: str, workdir: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a kubeconfig that names this API server."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = workdir / "kubeconfig"
    file.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    environ["KUBECONFIG"] = str(file)


ENDLESS = 2**40
"""The length that an endless response announces."""


@pytest.mark.parametrize("transport", ["docker", "k8s"])
def test_an_endless_response_is_given_up(
    environ: dict[str, str], workdir: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def endless(connection: socket.socket, server: Server) -> None:
        ping = "/_ping" in server.heads[-1]
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (2 if ping else ENDLESS)
        )
        if ping:
            connection.sendall(b"OK")
            return
        sent.append(0)
        while len(sent) < 1000:  # MiB
            connection.sendall(b" " * 2**20)
            sent.append(0)

    with serve(endless) as server:
        target: dict[str, Any] = {"container": "a", "host": f"tcp://127.0.0.1:{server.port}"}
        if transport == "k8s":
            target = {"pod": "a"}
            use_cluster(server.url, workdir, environ, monkeypatch)
        entry = ConnectionSpec.from_entry({"transport": transport, **target})
        (status,) = surveyed(entry, environ=environ)

    assert status.state is EnvironmentState.UNREACHABLE
    assert "longer than 16 MiB" in status.reason
    assert len(sent) < 100


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("target", [{"pod": "a"}, {"deployment": "a"}, {"selector": "a=b"}], ids=str)
def test_a_cluster_whose_json_makes_no_sense_is_one_row(
    workdir: Path,
    environ: dict[str, str],
    body: bytes,
    target: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with odd_daemon() as server:
        for path in (
            "/version",
            "/api/v1/namespaces/default/pods",
            "/api/v1/namespaces/default/pods/a",
            "/apis/apps/v1/namespaces/default/deployments/a",
        ):
            server.answer(path, body)
        use_cluster(server.url, workdir, environ, monkeypatch)
        entry = ConnectionSpec.from_entry({"transport": "k8s", **target})
        (status,) = surveyed(entry, environ=environ)

    assert not status.is_defect
    assert status.state in {EnvironmentState.UNREACHABLE, EnvironmentState.UNAVAILABLE}


def at_once(_: socket.socket) -> None:
    """Hang up before TLS begins."""


def after_hello(connection: socket.socket) -> None:
    """Hang up after the client's first message."""
    connection.recv(65536)


def in_a_record(connection: socket.socket) -> None:
    """Hang up in the middle of a record of TLS."""
    connection.recv(65536)
    connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")


def with_an_alert(connection: socket.socket) -> None:
    """Send an alert that does not exist."""
    connection.recv(65536)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\xfe")


def with_noise(connection: socket.socket) -> None:
    """Send what is not TLS."""
    connection.recv(65536)
    connection.sendall(b"\xff" * 65536)


HANGING_UP: tuple[Callable[[socket.socket], None], ...] = (
    at_once,
    after_hello,
    in_a_record,
    with_an_alert,
    with_noise,
)


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that behaves so to each client, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    with connection:
                        behave(connection)
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("behave", HANGING_UP)
@pytest.mark.parametrize("scheme", ["docker", "http"])
def test_who_hangs_up_in_tls_is_one_row(
    workdir: Path, environ: dict[str, str], behave: Callable[[socket.socket], None], scheme: str
) -> None:
    (workdir / "certificates").mkdir()
    with server(behave) as port, odd_daemon() as good:
        entries = {
            "docker": {
                "container": "a",
                "host": f"tcp://127.0.0.1:{port}",
                "cert_path": str(workdir / "certificates"),
            },
            "http": {"url": f"https://127.0.0.1:{port}"},
        }
        odd, fine = surveyed(
            ConnectionSpec.from_entry({"transport": scheme, **entries[scheme]}),
            ConnectionSpec.from_entry({"transport": "http", "url": good.url}),
            environ=environ,
        )

    assert (odd.state, odd.is_defect) == (EnvironmentState.UNREACHABLE, False)
    assert fine.state is EnvironmentState.RUNNING


@pytest.mark.parametrize(
    "last", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nO"], ids=["nothing", "half"]
)
def test_an_engine_that_hangs_up_after_the_handshake_is_one_row(
    workdir: Path, environ: dict[str, str], last: bytes
) -> None:
    folder = Authority(workdir / "ca", "ours").sign(
        workdir / "signed", "engine", usage="serverAuth", addresses="IP:127.0.0.1"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def shake_hands(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(last)

    with server(shake_hands) as port:
        entry = {
            "transport": "docker",
            "container": "a",
            "host": f"tcp://127.0.0.1:{port}",
            "cert_path": str(folder),
        }
        (status,) = surveyed(ConnectionSpec.from_entry(entry), environ=environ)

    assert (status.state, status.is_defect) == (EnvironmentState.UNREACHABLE, False)
