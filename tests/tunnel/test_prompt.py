"""What the gate keeps of prompts, and when it gives one up. Real prompts: tests/sessions/test_prompts.py."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from ocattach.errors import ConnectionLostError
from ocattach.opencode.endpoint import basic_authorization
from ocattach.tunnel import prompt as module
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.http_servers import Behaviour, answer, serve
from tests.rigs.waiting import wait_until
from tests.tunnel.http_daemon import HTTPRecorder

LINK = basic_authorization("opencode", "link")
PATH = "/session/ses_1/message"


@dataclass(frozen=True)
class Arrival:
    """What the fake below says of a prompt."""

    has_arrived: bool = True
    is_running: bool = False
    has_begun: bool = False
    answer: bytes | None = None


@dataclass
class FakeRecovery:
    """Stands for the API of prompts: marks each body, and says what it was told to say."""

    find: Callable[[], Arrival] = lambda: Arrival(has_arrived=False)
    errors: list[Exception] = field(default_factory=list)
    is_prompt: bool = True
    identified: list[bytes] = field(default_factory=list)

    def identify(self, _session: str, body: bytes, *, waits: bool) -> "FakePrompt | None":
        assert waits
        self.identified.append(body)
        if self.errors:
            raise self.errors.pop()
        return FakePrompt(body + b" marked", self) if self.is_prompt else None


@dataclass(frozen=True)
class FakePrompt:
    body: bytes
    recovery: FakeRecovery

    def find(self) -> Arrival:
        return self.recovery.find()


class Site:
    """A gate with a daemon behind it that may hang up."""

    def __init__(self, daemon: HTTPRecorder, opened: ExitStack) -> None:
        self.daemon, self.recovery = daemon, FakeRecovery()
        gate = Gate(LINK)
        self.tunnel = opened.enter_context(
            Tunnel(DirectRoute("127.0.0.1"), daemon.port, gate=gate, recovery=self.recovery)
        )
        self.client = http.client.HTTPConnection("127.0.0.1", self.tunnel.port, timeout=30)
        opened.callback(self.client.close)

    def send(self, body: bytes = b"{}", path: str = PATH) -> http.client.HTTPResponse:
        self.client.request("POST", path, body, {"Authorization": LINK})
        response = self.client.getresponse()
        self.text = response.read().decode()
        return response

    @property
    def arrived(self) -> list[bytes]:
        return [request.body for request in self.daemon.requests]


@pytest.fixture
def site() -> Iterator[Site]:
    with ExitStack() as opened:
        yield Site(opened.enter_context(HTTPRecorder()), opened)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE_SECONDS", "POLL_SECONDS", "UNKNOWN_SECONDS", "SETTLE_SECONDS", "STOPPED_SECONDS"):
        monkeypatch.setattr(module, name, 0.05)
    monkeypatch.setattr(module, "CONFIRM_SECONDS", 1.0)


def test_one_connection_carries_prompts_and_other_requests_in_turn(site: Site) -> None:
    for body in (b"one", b"two"):
        assert site.send(body).status == 200
        assert site.send(body, path="/session/ses_1/abort").status == 200

    assert site.arrived == [b"one marked", b"one", b"two marked", b"two"]
    lengths = [request.headers.get_all("Content-Length") for request in site.daemon.requests]
    assert lengths == [["10"], ["3"], ["10"], ["3"]]


def test_a_prompt_that_never_arrives_is_given_up_after_some_times(site: Site) -> None:
    site.daemon.hang_ups = 100

    assert site.send().status == 502
    assert f"lost {module.MOST_SENDS} times" in site.text
    assert site.arrived == [b"{} marked"] * module.MOST_SENDS


@pytest.mark.parametrize(
    ("find", "reason"),
    [
        (Arrival, "ended before it answered"),
        (lambda: Arrival(has_begun=True), "ended before it answered"),
        (lambda: raising(ConnectionLostError("It is gone.")), "Cannot find out"),
        (lambda: raising(ValueError("secret")), "before OpenCode answered"),
    ],
)
def test_a_prompt_that_is_not_answered_any_more_ends_in_an_error(
    site: Site, find: Callable[[], Arrival], reason: str
) -> None:
    site.daemon.hang_ups, site.recovery.find = 1, find

    assert site.send().status == 502
    assert reason in site.text
    assert "secret" not in site.text
    assert len(site.arrived) == 1


def test_the_client_gets_the_answer_of_a_run_that_ends_later(site: Site) -> None:
    states = [Arrival(answer=b'{"info": 1}'), *[Arrival(is_running=True)] * 5]
    site.daemon.hang_ups, site.recovery.find = 1, states.pop

    response = site.send()

    assert (response.status, response.headers["Content-Type"], json.loads(site.text)) == (
        200,
        "application/json",
        {"info": 1},
    )
    assert site.send(b"next").status == 200  # on the same connection
    assert site.arrived == [b"{} marked", b"next marked"]


@pytest.mark.parametrize("cut", ["route", "connection"])
def test_an_idle_connection_outlives_the_loss_of_the_route(site: Site, cut: str) -> None:
    assert site.send(b"one").status == 200
    if cut == "route":
        site.tunnel.give_up("It was cut.")
        site.tunnel.switch_route(DirectRoute("127.0.0.1"), site.daemon.port)
    else:
        site.daemon.close_connections()
    site.client.auto_open = 0  # no other connection

    assert site.send(b"two").status == 200
    assert site.arrived == [b"one marked", b"two marked"]


@pytest.mark.parametrize("arrives", [True, False])
def test_an_accepted_prompt_is_confirmed_once_the_daemon_has_it(site: Site, arrives: bool) -> None:
    site.daemon.status = 204
    seen: list[bool] = []

    def find() -> Arrival:
        seen.append(len(seen) == 2 and arrives)
        return Arrival(has_arrived=seen[-1])

    site.recovery.find = find

    assert site.send(b"one").status == 204
    assert seen == [False, False, True] if arrives else not any(seen)
    assert site.arrived == [b"one marked"]


def test_an_accepted_prompt_is_sent_once_if_the_connection_is_closed_before_it_is_stored(site: Site) -> None:
    site.daemon.status = 204
    looks = 0

    def find() -> Arrival:
        nonlocal looks
        looks += 1
        site.daemon.close_connections()
        return Arrival(has_arrived=looks == 5)

    site.recovery.find = find
    site.client.auto_open = 0
    site.client.connect()

    assert site.send(b"one").status == 204
    looks = 0
    assert site.send(b"two").status == 204, "on the same connection"
    assert site.arrived == [b"one marked", b"two marked"]


def test_an_accepted_prompt_that_was_not_stored_when_the_connection_ended_is_sent_again(site: Site) -> None:
    site.daemon.status = 204

    def find() -> Arrival:
        if len(site.arrived) == 1:
            site.daemon.close_connections()
        return Arrival(has_arrived=len(site.arrived) == 2)

    site.recovery.find = find

    assert site.send(b"one").status == 204
    assert site.arrived == [b"one marked"] * 2


@pytest.mark.parametrize("limit", ["LENGTH_LIMIT", "KEPT_LIMIT"])
def test_a_prompt_that_is_too_long_is_sent_as_it_is_and_only_once(
    site: Site, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, 3)
    assert site.send(b"1234").status == 200
    site.daemon.hang_ups = 1
    assert site.send(b"1234").status == 502

    assert site.arrived == [b"1234"] * 2
    assert site.recovery.identified == []


def test_memory_is_given_back_with_each_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_LIMIT", 3)
    for _ in range(3):
        assert site.send(b"123").status == 200
    with socket.create_connection(("127.0.0.1", site.tunnel.port), timeout=30) as other:
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.tunnel.port}\r\nAuthorization: {LINK}\r\n"
        other.sendall(f"{head}Content-Length: 3\r\n\r\n1".encode())
        wait_until(lambda: site.tunnel.active_connections == 2, "the other client")
        assert site.send(b"123").status == 200
    wait_until(lambda: site.tunnel.active_connections == 1, "the other client to be gone")
    assert site.send(b"123").status == 200

    assert site.arrived == [*[b"123 marked"] * 3, b"123", b"123 marked"]


def test_what_is_no_prompt_or_cannot_be_prepared_is_sent_as_it_is_and_only_once(site: Site) -> None:
    site.recovery.errors = [ConnectionLostError("It is gone.")] * module.TRIES
    assert site.send(b"not now").status == 200
    site.recovery.is_prompt = False
    site.daemon.hang_ups = 1
    assert site.send(b"[]").status == 502

    assert site.arrived == [b"not now", b"[]"]


def test_a_client_that_ends_its_input_after_its_prompt_is_answered(site: Site) -> None:
    request = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.tunnel.port}\r\nAuthorization: {LINK}\r\n"
        "Content-Length: 2\r\n\r\n{}"
    )
    with socket.create_connection(("127.0.0.1", site.tunnel.port), timeout=30) as client:
        client.sendall(request.encode())
        client.shutdown(socket.SHUT_WR)
        received = b""
        while data := client.recv(65536):
            received += data

    assert received.startswith(b"HTTP/1.1 200")
    assert site.arrived == [b"{} marked"]


def raising(error: Exception) -> Arrival:
    raise error


def close_delimited(connection: socket.socket, _: object) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 70_000)


def in_pieces(connection: socket.socket, _: object) -> None:
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _piece in range(70):
        connection.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    connection.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("behaviour", "length"),
    [
        (close_delimited, 70_000),
        (in_pieces, 70_000),
        (answer("200 OK", b"x" * (2 * module.RESPONSE_LIMIT)), 2 * module.RESPONSE_LIMIT),
    ],
)
def test_a_response_of_any_form_arrives_whole(behaviour: Behaviour, length: int) -> None:
    with (
        serve(behaviour) as server,
        Tunnel(DirectRoute("127.0.0.1"), server.port, gate=Gate(LINK), recovery=FakeRecovery()) as tunnel,
    ):
        client = http.client.HTTPConnection("127.0.0.1", tunnel.port, timeout=30)
        client.request("POST", PATH, b"{}", {"Authorization": LINK})
        response = client.getresponse()
        assert (response.status, len(response.read())) == (200, length)
        client.close()
