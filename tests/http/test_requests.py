"""Requests on their way to a gateway: heads are changed, and every byte else arrives as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.errors import ConnectionLostError
from ocattach.opencode.endpoint import Endpoint
from ocattach.transports.http.requests import MAX_HEAD, HeaderInjector, Requests

ENDPOINT = Endpoint("https://gw.example:8443/base", headers=(("X-Key", "k"), ("x-team", "a")), environ={})
LOCAL = b"Authorization: Basic b3BlbmNvZGU6bG9jYWw="
REAL = b"Authorization: Basic b3BlbmNvZGU6cmVhbA=="


def requests() -> Requests:
    """A connection of one client."""
    return Requests(HeaderInjector(ENDPOINT, username="opencode", password="real", local_password="local"))


def sent(head: bytes, body: bytes = b"") -> bytes:
    """What is sent on for a request."""
    return requests().feed(head + b"\r\n\r\n" + body)


def test_a_request_gets_the_path_the_host_the_headers_and_the_password_of_the_url() -> None:
    head = sent(b"GET /session?limit=1 HTTP/1.1\r\nHost: 127.0.0.1:5\r\n" + LOCAL + b"\r\nAccept: x/y")

    assert head == (
        b"GET /base/session?limit=1 HTTP/1.1\r\nHost: gw.example:8443\r\nX-Key: k\r\nx-team: a\r\n"
        + REAL
        + b"\r\nAccept: x/y\r\n\r\n"
    )


@pytest.mark.parametrize("given", [b"", b"\r\n" + REAL, b"\r\nAuthorization: Bearer local"])
def test_who_does_not_know_the_local_password_gets_nothing_of_ours(given: bytes) -> None:
    head = sent(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:5" + given)

    assert head == b"GET /base/ HTTP/1.1\r\nHost: gw.example:8443\r\n\r\n"


def test_headers_of_the_client_do_not_stand_beside_ours_of_the_same_name() -> None:
    head = sent(b"GET / HTTP/1.1\r\nX-KEY: other\r\n" + LOCAL)

    assert head.lower().count(b"x-key") == 1
    assert b"other" not in head


BODIES = [
    (b"", b""),
    (b"\r\nContent-Length: 5", b"GET /"),
    (b"\r\nTransfer-Encoding: chunked", b"5;x=y\r\nGET /\r\n0a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"),
    (b"\r\nTransfer-Encoding: Chunked", b"0\r\n\r\n"),
]


@given(st.lists(st.sampled_from(BODIES), min_size=1, max_size=5), st.lists(st.integers(1, 60)))
def test_request_after_request_is_changed_however_the_bytes_are_cut(
    bodies: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    stream = b"".join(b"POST /p HTTP/1.1\r\n" + LOCAL + head + b"\r\n\r\n" + body for head, body in bodies)
    connection, arrived = requests(), b""
    for size in sizes:
        arrived += connection.feed(stream[:size])
        stream = stream[size:]
    arrived += connection.feed(stream)

    assert arrived == b"".join(sent(b"POST /p HTTP/1.1\r\n" + LOCAL + head, body) for head, body in bodies)
    assert arrived.count(b"/base/p") == arrived.count(b"X-Key: k") == len(bodies)
    assert all(body in arrived for _, body in bodies)


def test_after_an_upgrade_everything_passes() -> None:
    connection = requests()
    connection.feed(b"GET /pty HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    assert connection.feed(b"\x81\x05GET /\r\n\r\n") == b"\x81\x05GET /\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"hello",
        b"GET http://elsewhere/ HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET / HTTP/2",
        b"GET / HTTP/1.1\r\nno header",
        b"GET / HTTP/1.1\r\nX: a\r\n folded",
        b"GET / HTTP/1.1\r\nX : a",
        b"GET / HTTP/1.1\r\nX: a\nY: b",
        b"POST / HTTP/1.1\r\nContent-Length: +5",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(ConnectionLostError):
        sent(head)


@pytest.mark.parametrize("chunk", [b"x\r\n", b"\r\n", b"-1\r\n", b"f" * 2000])
def test_a_chunk_without_a_size_is_refused(chunk: bytes) -> None:
    with pytest.raises(ConnectionLostError):
        sent(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", chunk)


def test_a_head_without_end_is_refused() -> None:
    with pytest.raises(ConnectionLostError, match="head"):
        requests().feed(b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD)
