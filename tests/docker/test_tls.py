"""An engine on another machine, behind TLS: a real dockerd that wants to know its clients."""

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ocattach.errors import AuthenticationError, ConfigurationError, UnreachableError
from ocattach.transports.containers import engine_streams
from ocattach.transports.containers.engine_streams import TLSDialer
from tests.contract.servers import echo, send_and_receive, serve
from tests.docker.conftest import RemoteEngine
from tests.docker.laptops import Laptop, handler_for
from tests.rigs.certificates import Authority
from tests.rigs.container import ContainerRig
from tests.rigs.waiting import wait_until

MEGABYTE = 1024 * 1024
SECONDS = 30
FULL = 64 * 1024


@pytest.fixture(scope="module")
def container(remote_engine: RemoteEngine) -> Iterator[ContainerRig]:
    with remote_engine.engine.container("frontend-app") as container:
        yield container


@pytest.fixture(autouse=True)
def variables(
    remote_engine: RemoteEngine, container: ContainerRig, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """The laptop of somebody who may use the engine."""
    del container
    monkeypatch.setenv("DOCKER_HOST", remote_engine.url)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(remote_engine.certificates))
    return monkeypatch


def test_input_and_output_of_commands_arrive_whole_through_tls() -> None:
    data = os.urandom(4 * MEGABYTE)
    with handler_for("frontend-app") as handler:
        result = handler.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=data, timeout=30)

    assert (3, data, b"err\n") == (result.exit_code, result.stdout, result.stderr)


def test_a_stream_goes_on_being_read_after_its_input_has_ended() -> None:
    with handler_for("frontend-app") as handler:
        stream = handler.open_stream(["sh", "-c", "read line; cat; echo $line"])
        stream.socket.sendall(b"first\nsecond\n")
        stream.socket.shutdown(1)
        received = b"".join(stream.decode(data) for data in iter(lambda: stream.socket.recv(100), b""))
        stream.close()

    assert received == b"second\nfirst\n"


def test_what_arrives_before_the_end_of_input_is_sent_and_not_yet_read_is_kept(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "ocattach tests")
    own = authority.sign(tmp_path / "own", "engine", usage="serverAuth", addresses="IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "cert.pem", own / "key.pem")
    before, after = os.urandom(MEGABYTE), b"after the end of input"
    end_of_input = threading.Event()

    def serve_one(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as engine:
            writing = threading.Thread(target=write_in_pieces, args=(engine, before))
            writing.start()
            assert engine.recv(1) == b""
            end_of_input.set()
            writing.join(SECONDS)
            engine.sendall(after)
            engine.unwrap().close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve_one, args=(listener,))
        serving.start()
        dialer = TLSDialer(*listener.getsockname(), cert_path=str(own), verifies=True)
        stream = dialer.dial(SECONDS)
        # More is on its way than the pump's socket takes.
        wait_until(lambda: len(stream.socket.recv(FULL, socket.MSG_PEEK)) == FULL, "the engine's output")
        stream.socket.shutdown(socket.SHUT_WR)
        assert end_of_input.wait(SECONDS)
        received = b"".join(iter(lambda: stream.socket.recv(65536), b""))
        stream.close()
        serving.join(SECONDS)

    assert received == before + after


def write_in_pieces(connection: ssl.SSLSocket, data: bytes) -> None:
    """Send data so that what is read at once holds many records of TLS."""
    for at in range(0, len(data), 1000):
        connection.sendall(data[at : at + 1000])


def test_a_megabyte_goes_through_the_relay_and_back(container: ContainerRig) -> None:
    data = os.urandom(MEGABYTE)
    with (
        serve(container.network, echo) as port,
        handler_for("frontend-app") as handler,
        handler.connect(port) as tunnel,
    ):
        assert data == send_and_receive(tunnel.port, data)


def test_no_thread_is_left_after_disconnecting() -> None:
    before = set(threading.enumerate())  # an earlier test's server may be among them, and end meanwhile
    with handler_for("frontend-app") as handler:
        handler.run(["true"], timeout=10)
        stream = handler.open_stream(["cat"])
        stream.close()

    assert set(threading.enumerate()) <= before


def test_an_engine_that_another_authority_vouches_for_is_refused(
    remote_engine: RemoteEngine, tmp_path: Path, variables: pytest.MonkeyPatch
) -> None:
    calls = remote_engine.engine.calls()
    stranger = Authority(tmp_path / "ca", "somebody else").sign(tmp_path / "own", "me", usage="clientAuth")
    variables.setenv("DOCKER_CERT_PATH", str(stranger))

    with handler_for("frontend-app") as handler, pytest.raises(AuthenticationError) as raised:
        handler.check_available()

    assert "is not trusted" in raised.value.message
    assert f"{stranger}/ca.pem" in raised.value.hint
    assert calls == remote_engine.engine.calls()


def test_the_wish_to_skip_verification_does_not_make_a_strange_engine_trusted(
    tmp_path: Path, variables: pytest.MonkeyPatch
) -> None:
    stranger = Authority(tmp_path / "ca", "somebody else").sign(tmp_path / "own", "me", usage="clientAuth")
    variables.setenv("DOCKER_CERT_PATH", str(stranger))
    variables.delenv("DOCKER_TLS_VERIFY")
    variables.setenv("DOCKER_TLS", "1")

    with handler_for("frontend-app") as handler, pytest.raises(AuthenticationError, match="trusted"):
        handler.check_available()


def test_a_missing_client_certificate_is_told_with_where_it_belongs(
    remote_engine: RemoteEngine, tmp_path: Path, variables: pytest.MonkeyPatch
) -> None:
    shutil.copy(remote_engine.certificates / "ca.pem", tmp_path)
    variables.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with handler_for("frontend-app") as handler, pytest.raises(AuthenticationError) as raised:
        handler.check_available()

    assert "client certificate" in raised.value.message
    assert str(tmp_path) in raised.value.hint


def test_a_client_certificate_of_another_authority_is_told(
    remote_engine: RemoteEngine, tmp_path: Path, variables: pytest.MonkeyPatch
) -> None:
    stranger = Authority(tmp_path / "ca", "somebody else").sign(tmp_path / "own", "me", usage="clientAuth")
    shutil.copy(remote_engine.certificates / "ca.pem", stranger)
    variables.setenv("DOCKER_CERT_PATH", str(stranger))

    with (
        handler_for("frontend-app") as handler,
        pytest.raises(AuthenticationError, match="client certificate"),
    ):
        handler.check_available()


def test_a_key_that_is_missing_is_told(
    remote_engine: RemoteEngine, tmp_path: Path, variables: pytest.MonkeyPatch
) -> None:
    shutil.copytree(remote_engine.certificates, tmp_path / "own")
    (tmp_path / "own" / "key.pem").unlink()
    variables.setenv("DOCKER_CERT_PATH", str(tmp_path / "own"))

    with handler_for("frontend-app") as handler, pytest.raises(ConfigurationError) as raised:
        handler.check_available()

    assert f"{tmp_path}/own" in raised.value.message
    assert "key.pem" in raised.value.hint


def test_a_host_of_the_connection_itself_speaks_tls_where_the_variable_says_so(
    remote_engine: RemoteEngine, variables: pytest.MonkeyPatch
) -> None:
    variables.delenv("DOCKER_HOST")

    with handler_for("frontend-app", host=remote_engine.url) as handler:
        assert handler.run(["echo", "hello"], timeout=30).stdout == b"hello\n"


@pytest.mark.parametrize("named", ["variable", "host", "context", "http"])
def test_an_engine_on_another_machine_is_not_used_in_the_clear(
    remote_engine: RemoteEngine, tmp_path: Path, variables: pytest.MonkeyPatch, named: str
) -> None:
    """Nothing is dialled: the daemon's password, and what one says, would be read on the way."""
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_HOST"):
        variables.delenv(name)
    dialled: list[object] = []
    variables.setattr(engine_streams, "dial_tcp", lambda *address: dialled.append(address))
    keys: dict[str, Any] = {}
    if named == "variable":
        variables.setenv("DOCKER_HOST", remote_engine.url)
    elif named == "context":
        laptop = Laptop(tmp_path)
        laptop.docker("context", "create", "far", "--docker", f"host={remote_engine.url}")
        variables.setenv("HOME", str(tmp_path))
        keys = {"context": "far"}
    else:
        keys = {"host": remote_engine.url.replace("tcp", "http" if named == "http" else "tcp")}

    with handler_for("frontend-app", **keys) as handler, pytest.raises(AuthenticationError) as raised:
        handler.check_available()

    assert "is not encrypted" in raised.value.message
    assert "allow_plain_password: true" in raised.value.hint
    assert not dialled


def test_plain_http_to_a_port_of_tls_is_told(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("DOCKER_TLS_VERIFY")

    with (
        handler_for("frontend-app", allow_plain_password=True) as handler,
        pytest.raises(UnreachableError) as raised,
    ):
        handler.check_available()

    assert "requires TLS" in raised.value.message
    assert "DOCKER_CERT_PATH" in raised.value.hint


def test_tls_to_a_port_of_plain_http_is_told(variables: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request).start()
        variables.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")

        with handler_for("frontend-app") as handler, pytest.raises(UnreachableError) as raised:
            handler.check_available()

    assert "There is no TLS at" in raised.value.message


def test_an_engine_that_does_not_answer_is_told(
    remote_engine: RemoteEngine, variables: pytest.MonkeyPatch
) -> None:
    variables.setenv("DOCKER_HOST", f"tcp://{remote_engine.address}:1")

    with handler_for("frontend-app") as handler, pytest.raises(UnreachableError, match="refused"):
        handler.check_available()
