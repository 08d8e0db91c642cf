"""The gate of a local port, attacked as other users of the machine and web pages would."""

import errno
import http.client
import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.opencode.endpoint import basic_authorization
from ocattach.tunnel import tcp
from ocattach.tunnel.browser import Browsers
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.gate import Gate, Upstream
from ocattach.tunnel.request import RefusedError
from ocattach.tunnel.requests import RequestReader
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.waiting import wait_until
from tests.tunnel.http_daemon import HTTPRecorder

LINK = basic_authorization("opencode", "link")
DAEMON = basic_authorization("someone", "daemon")


class Keeper:
    """Keeps no stream, and writes down what it is shown."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.learned: list[bytes] = []

    def handles(self, request: bytes) -> bool:
        self.asked.append(request)
        return False

    def learn(self, request: bytes) -> None:
        self.learned.append(request)

    def observe(self, events: bytes) -> None:
        raise AssertionError(events)

    def replay(self, request: bytes, silent: float) -> list[bytes]:
        raise AssertionError(request, silent)

    def greet(self, request: bytes) -> Iterator[bytes]:
        assert request
        return iter(())

    def message_event(self, request: bytes, message: str) -> bytes:
        raise AssertionError(request, message)


class Gated:
    """A tunnel with a gate, and the daemon behind it."""

    def __init__(self, daemon: HTTPRecorder, tunnel: Tunnel, keeper: Keeper) -> None:
        self.daemon, self.tunnel, self.keeper = daemon, tunnel, keeper

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.tunnel.port}"

    def ask(self, method: str = "GET", path: str = "/session", **headers: str) -> http.client.HTTPResponse:
        """One request, with `Name_of` for a header of that name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.tunnel.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    def send(self, raw: bytes) -> bytes:
        """All that comes back for these bytes, until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.tunnel.port), timeout=60) as client:
            client.sendall(raw.replace(b"HOST", self.host.encode()).replace(b"LINK", LINK.encode()))
            received = b""
            try:
                client.shutdown(socket.SHUT_WR)
                while data := client.recv(65536):
                    received += data
            except OSError:  # reset
                return received
        return received


@contextmanager
def gated(authorization: str | None = DAEMON, browsers: Browsers | None = None) -> Iterator[Gated]:
    """A daemon behind a gate."""
    with ExitStack() as opened:
        daemon = opened.enter_context(HTTPRecorder())
        keeper = Keeper()
        gate = Gate(LINK, authorization=authorization, browsers=browsers)
        route = DirectRoute("127.0.0.1")
        yield Gated(
            daemon, opened.enter_context(Tunnel(route, daemon.port, resumer=keeper, gate=gate)), keeper
        )


@pytest.fixture(scope="module")
def gate() -> Iterator[Gated]:
    with gated() as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(gate: Gated) -> None:
    gate.daemon.requests.clear()
    gate.keeper.learned.clear()


def test_with_the_links_password_the_daemon_gets_its_own(gate: Gated) -> None:
    response = gate.ask(Authorization=LINK)

    assert response.status == 200
    (request,) = gate.daemon.requests
    assert request.headers.get_all("Authorization") == [DAEMON]


def test_a_daemon_without_a_password_gets_none_and_the_port_asks_for_one_all_the_same() -> None:
    with gated(authorization=None) as open_daemon:
        assert open_daemon.ask().status == 401
        assert not open_daemon.daemon.requests
        assert open_daemon.ask(Authorization=LINK).status == 200
        assert open_daemon.daemon.requests[0].headers["Authorization"] is None


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Bearer " + LINK.partition(" ")[2],
        DAEMON,
        basic_authorization("opencode", ""),
        basic_authorization("opencode", "lin"),
        basic_authorization("opencode", "linkk"),
        basic_authorization("", "link"),
    ],
)
def test_without_the_password_the_daemon_sees_nothing_and_nothing_is_learned(
    gate: Gated, authorization: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    asked = len(gate.keeper.asked)
    response = gate.ask(path="/session?directory=/its/own/plugins", **headers)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert "ocattach" in json.loads(response.body)["data"]["message"]  # type: ignore[attr-defined]
    assert not gate.daemon.requests
    assert len(gate.keeper.asked) == asked
    assert not gate.keeper.learned


def test_what_the_daemon_refuses_is_not_learned(gate: Gated) -> None:
    gate.daemon.status = 403
    try:
        assert gate.ask(Authorization=LINK).status == 403
    finally:
        gate.daemon.status = 200
    assert not gate.keeper.learned
    gate.ask(Authorization=LINK)
    assert wait_until(lambda: gate.keeper.learned, "the request to be learned")[0].startswith(
        b"GET /session "
    )
    assert b"uthorization" not in gate.keeper.learned[0]


@pytest.mark.parametrize(
    "path", ["/session?auth_token={}", "/pty/1/connect?a=b&auth_token={}&c=d", "/?auth%5Ftoken={}"]
)
def test_the_password_may_be_in_the_query_and_goes_no_further(gate: Gated, path: str) -> None:
    assert gate.ask(path=path.format(LINK.partition(" ")[2])).status == 200

    (request,) = gate.daemon.requests
    assert "token" not in request.path
    assert b"token" not in wait_until(lambda: gate.keeper.learned, "the request to be learned")[0]
    assert request.headers.get_all("Authorization") == [DAEMON]
    assert gate.ask(path=path.format(DAEMON.partition(" ")[2])).status == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "evillocalhost:{port}",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "127.0.0.1:{port}@evil.example",
        "",
    ],
)
def test_a_name_that_can_be_pointed_here_is_refused(gate: Gated, host: str) -> None:
    response = gate.ask(Authorization=LINK, Host=host.format(port=gate.tunnel.port))

    assert response.status in {400, 403}
    assert not gate.daemon.requests


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "frontend.localhost:{port}"]
)
def test_names_of_this_machine_are_taken(gate: Gated, host: str) -> None:
    assert gate.ask(Authorization=LINK, Host=host.format(port=gate.tunnel.port)).status == 200


def test_nobody_else_can_have_the_port_on_the_other_loopback_address(gate: Gated) -> None:
    """Chromium tries ::1 first for `localhost` and the names below it."""
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("::1", gate.tunnel.port), family=socket.AF_INET6)


def test_a_port_that_somebody_has_on_the_other_loopback_address_is_not_used() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        taken = other.getsockname()[1]
        with Tunnel(gate=Gate(LINK), ports=[taken]) as tunnel:
            assert tunnel.port != taken


@pytest.mark.parametrize(("password", "status"), [(LINK, 200), ("", 401)])
def test_the_other_loopback_address_has_the_same_gate(gate: Gated, password: str, status: int) -> None:
    connection = http.client.HTTPConnection("::1", gate.tunnel.port, timeout=60)
    connection.request(
        "GET",
        "/session",
        headers={"Host": f"frontend.localhost:{gate.tunnel.port}", "Authorization": password},
    )

    assert connection.getresponse().status == status
    connection.close()


@pytest.mark.parametrize("value", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_machine_without_ipv6_has_one_address(value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = tcp.bind_port

    def refuse(port: int, address: str = "127.0.0.1") -> socket.socket:
        if address == "::1":
            raise OSError(value, "no IPv6")
        return bind(port)

    monkeypatch.setattr(tcp, "bind_port", refuse)
    with gated() as alone:
        assert alone.ask(Authorization=LINK).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
def test_other_sites_are_refused_although_the_browser_knows_the_password(
    gate: Gated, headers: dict[str, str]
) -> None:
    said = {name.replace("-", "_"): value.format(port=gate.tunnel.port) for name, value in headers.items()}
    response = gate.ask(path="/session?directory=/x", Authorization=LINK, **said)

    assert response.status == 403
    assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert not gate.daemon.requests
    assert gate.ask("OPTIONS", Access_Control_Request_Method="GET", **said).status == 403


def test_the_ports_own_pages_and_a_link_to_its_start_page_are_let_in(gate: Gated) -> None:
    own = {"Authorization": LINK, "Origin": f"http://{gate.host}", "Sec_Fetch_Site": "same-origin"}
    followed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}

    assert gate.ask("POST", **own).status == 200
    assert gate.ask(path="/", Authorization=LINK, **followed).status == 200


@pytest.mark.parametrize("origin", ["oc://renderer", "tauri://localhost", "http://tauri.localhost"])
def test_opencode_desktop_is_let_in_with_the_password_alone(gate: Gated, origin: str) -> None:
    said = {"Origin": origin, "Sec_Fetch_Site": "cross-site"}
    assert gate.ask(Authorization=LINK, **said).status == 200
    assert gate.ask(**said).status == 401
    assert gate.ask(Authorization=LINK, **{**said, "Origin": f"{origin}.evil.example"}).status == 403


LET_IN = b" HTTP/1.1\r\nHost: HOST\r\nAuthorization: LINK\r\n"
OK = b"GET /a" + LET_IN + b"\r\n"
POST = b"POST /a" + LET_IN
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
BAD = b"GET /stolen HTTP/1.1\r\nHost: HOST\r\n\r\n"
STOLEN = b"GET /stolen" + LET_IN
SMUGGLED = {
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + BAD,
    "length and chunks": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + BAD,
    "two lengths in one line": POST + b"Content-Length: 0, 44\r\n\r\n" + BAD,
    "a length in other digits": POST + "Content-Length: \u0660\r\n\r\n".encode() + BAD,
    "a coding that does nothing": POST + b"Transfer-Encoding: identity\r\n\r\n" + BAD,
    "a coding twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + BAD,
    "a line feed in a chunk's extension": CHUNKED + b"\r\n3;x\nabc\r\n0\r\n\r\n" + BAD,
    "a line break in a quoted extension": CHUNKED + b'\r\n3;x="a\r\nb"\r\nabc\r\n0\r\n\r\n' + BAD,
    "a chunk longer than it says": CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n" + BAD,
    "the password in the trailer": b"POST /stolen HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    b"Authorization: LINK\r\n\r\n",
    "a password for a proxy": b"GET /stolen HTTP/1.1\r\nHost: HOST\r\nProxy-Authorization: LINK\r\n\r\n",
    "a carriage return in a value": STOLEN + b"X: a\rY: b\r\n\r\n",
    "the name of this machine with a dot": (STOLEN + b"\r\n").replace(b"HOST", b"localhost.:1"),
    "another site's origin beside the own one": STOLEN
    + b"Origin: http://HOST\r\nOrigin: http://evil\r\n\r\n",
    "a second request behind a request for HTTP/2": b"GET /a"
    + LET_IN
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    + BAD,
    "an odd coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + BAD,
    "a coding in disguise": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + BAD,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + BAD,
    "a signed length": POST + b"Content-Length: +0\r\n\r\n" + BAD,
    "a chunk without size": CHUNKED + b"\r\nx\r\n\r\n" + BAD,
    "two hosts": STOLEN + b"Host: evil\r\n\r\n",
    "two passwords": STOLEN + b"Authorization: x\r\n\r\n",
    "a whole URL": b"GET http://evil/stolen" + LET_IN + b"\r\n",
    "CONNECT": b"CONNECT evil:1" + LET_IN + b"\r\n",
    "no host": b"GET /stolen HTTP/1.1\r\nAuthorization: LINK\r\n\r\n",
    "HTTP/0.9": b"GET /stolen\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a header without a name": STOLEN + b": x\r\n\r\n",
    "a zero byte": STOLEN + b"X: a\x00b\r\n\r\n",
    "a second request without the password": OK + BAD,
    "a request behind an upgrade that is not granted": b"GET /a"
    + LET_IN
    + b"Upgrade: websocket\r\n\r\n"
    + BAD,
}


@pytest.mark.parametrize("raw", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_no_request_is_smuggled_past_the_gate(gate: Gated, raw: bytes) -> None:
    answer = gate.send(raw)

    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.1 200"))
    assert not [request for request in gate.daemon.requests if "stolen" in request.path]


@pytest.mark.parametrize(
    "raw",
    [
        OK + OK,
        OK.replace(b"\r\n", b"\n"),
        b"GET /a" + LET_IN + b"X: a\r\n b\r\n\r\n",
        CHUNKED + b"\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n" + OK,
        POST + b"Content-Length: 3\r\n\r\nabc" + OK,
    ],
)
def test_what_may_pass_arrives_in_one_form_and_whole(gate: Gated, raw: bytes) -> None:
    answers = gate.send(raw)

    assert answers.count(b"HTTP/1.1 200") == raw.count(b" HTTP/1.1")
    assert all(request.path == "/a" for request in gate.daemon.requests)
    assert all(request.headers["Authorization"] == DAEMON for request in gate.daemon.requests)
    assert [request.body for request in gate.daemon.requests if request.command == "POST"] in ([], [b"abc"])


def test_an_upgraded_connection_is_passed_through(gate: Gated) -> None:
    with socket.create_connection(("127.0.0.1", gate.tunnel.port), timeout=60) as client:
        client.sendall(
            b"GET /upgrade HTTP/1.1\r\nHost: %b\r\nAuthorization: %b\r\nConnection: Upgrade\r\n"
            b"Upgrade: echo\r\n\r\nearly" % (gate.host.encode(), LINK.encode())
        )
        received = b""
        while not received.endswith(b"early"):
            received += client.recv(65536)
        client.sendall(b"\x00\xff not HTTP")
        while not received.endswith(b"not HTTP"):
            received += client.recv(65536)
    assert received.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(("method", "status", "times"), [("GET", 200, 2), ("HEAD", 200, 2), ("POST", 502, 1)])
def test_what_only_reads_is_sent_again_when_the_connection_is_lost(
    gate: Gated, method: str, status: int, times: int
) -> None:
    gate.daemon.hang_ups = 1
    try:
        assert gate.ask(method, Authorization=LINK).status == status
    finally:
        gate.daemon.hang_ups = 0
    assert [request.command for request in gate.daemon.requests] == [method] * times


def test_what_is_never_answered_ends_in_an_error(gate: Gated) -> None:
    gate.daemon.hang_ups = 100
    try:
        assert gate.ask(Authorization=LINK).status == 502
    finally:
        gate.daemon.hang_ups = 0
    assert len(gate.daemon.requests) == 4


def test_pipelined_requests_are_not_sent_again(gate: Gated) -> None:
    gate.daemon.hang_ups = 1
    try:
        answers = gate.send(OK + OK)
    finally:
        gate.daemon.hang_ups = 0
    assert answers.startswith((b"HTTP/1.1 502", b"HTTP/1.1 200")) or not answers
    assert len(gate.daemon.requests) <= 2


def test_a_client_that_says_nothing_does_not_keep_the_link(gate: Gated) -> None:
    with socket.create_connection(("127.0.0.1", gate.tunnel.port)):
        assert gate.ask(Authorization=LINK).status == 200
        wait_until(lambda: gate.tunnel.active_connections == 0, "the request to end")


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=20), st.sampled_from([*SMUGGLED.values(), OK]))
def test_whatever_comes_in_whatever_pieces_the_reader_takes_it_or_refuses(
    pieces: list[bytes], start: bytes
) -> None:
    reader = RequestReader()
    gate = Gate(LINK)
    try:
        for piece in (start, *pieces):
            reader.receive(piece)
            while (taken := reader.take()) is not None:
                if not isinstance(taken, bytes):
                    assert gate.encode(taken, Upstream()).count(b"\r\n\r\n") == 1
    except RefusedError as error:
        status = error.status
    else:
        status = HTTPStatus.BAD_REQUEST
    assert status >= HTTPStatus.BAD_REQUEST


@given(st.binary(max_size=3000), st.lists(st.integers(1, 200), min_size=1), st.booleans())
def test_a_body_arrives_whole_in_whatever_pieces_it_comes(
    body: bytes, sizes: list[int], is_chunked: bool
) -> None:
    head = POST + (
        b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked else b"Content-Length: %d\r\n\r\n" % len(body)
    )
    sent = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:]) if piece)
    left = head + (sent + b"0\r\n\r\n" if is_chunked else body) + OK
    reader, heads, passed = RequestReader(), 0, b""
    for size in itertools.cycle(sizes):
        if not left:
            break
        reader.receive(left[:size])
        left = left[size:]
        while (taken := reader.take()) is not None:
            if isinstance(taken, bytes):
                passed += taken
            else:
                heads += 1

    assert heads == 2
    assert (unchunked(passed) if is_chunked else passed) == body


def unchunked(data: bytes) -> bytes:
    """The content of chunks, which have to end with the last one."""
    content = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        content += data[:length]
        data = data[length + 2 :]
        if not length:
            assert not data
            return content
