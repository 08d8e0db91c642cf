"""One client's stream of events out of several answers."""

import http.client
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.errors import ConnectionLostError
from ocattach.tunnel.event_stream import EVENT_LIMIT, HEAD_LIMIT, EventStream, chunk

REQUEST = b"GET /global/event HTTP/1.1\r\nHost: localhost\r\nUser-Agent: opencode/1.18.33\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"

events = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40).map(
        lambda text: f"data: {text}\n\n".encode()
    ),
    max_size=8,
)
cuts = st.lists(st.integers(0, 2000), max_size=12)
other_answers = st.sampled_from(
    [
        HEAD.replace(b"text/event-stream", b"application/json") + chunk(b"true") + LAST,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: until the end\n\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + b"2\r\n\x1f\x8b\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * HEAD_LIMIT,
    ]
)


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data in pieces."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def handed_on(stream: EventStream, *pieces: bytes) -> bytes:
    """What a client is given for these pieces."""
    return b"".join(stream.receive(piece).encode() for piece in pieces if piece)


def body(answer: bytes) -> bytes:
    """The body of an answer, as another program reads it."""
    connection: Any = type("Connection", (), {"makefile": lambda *_: io.BytesIO(answer)})()
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.read()


def in_chunks(content: bytes, cuts: Sequence[int]) -> bytes:
    """Content in chunks that end anywhere."""
    return b"".join(map(chunk, split(content, cuts)))


@given(events, cuts, cuts)
def test_every_split_and_every_chunking_gives_the_same_events(
    sent: list[bytes], chunks: list[int], pieces: list[int]
) -> None:
    content = b"".join(sent)
    answer = HEAD + in_chunks(content, chunks) + LAST

    given_on = handed_on(EventStream(REQUEST), *split(answer, pieces))

    assert given_on.startswith(HEAD)
    assert given_on.endswith(LAST)
    assert body(given_on) == content


@given(events, st.integers(0, 500), events, cuts, cuts)
def test_wherever_an_answer_is_cut_the_next_goes_on_with_whole_events(
    first: list[bytes], cut: int, second: list[bytes], chunks: list[int], pieces: list[int]
) -> None:
    stream = EventStream(REQUEST)
    answer = HEAD + in_chunks(b"".join(first), chunks)

    before = handed_on(stream, *split(answer[: len(HEAD) + cut], pieces))
    assert stream.can_resume
    assert stream.restart() == REQUEST
    after = handed_on(stream, *split(HEAD + in_chunks(b"".join(second), chunks) + LAST, pieces))

    whole = body(before + LAST)
    assert b"".join(first).startswith(whole)
    assert whole in {b"".join(first[:count]) for count in range(len(first) + 1)}
    assert body(before + after) == whole + b"".join(second)


@given(other_answers, cuts)
def test_any_other_answer_is_not_changed(answer: bytes, pieces: list[int]) -> None:
    stream = EventStream(REQUEST)

    assert handed_on(stream, *split(answer, pieces)) == answer
    assert stream.is_over


@given(st.binary(max_size=300), cuts)
def test_what_follows_the_stream_on_its_connection_is_not_changed(more: bytes, pieces: list[int]) -> None:
    stream = EventStream(REQUEST)

    given_on = handed_on(stream, *split(HEAD + chunk(b"data: 1\n\n") + LAST + more, pieces))

    assert given_on == HEAD + chunk(b"data: 1\n\n") + LAST + more
    assert not stream.can_resume


@given(st.lists(st.binary(max_size=100)))
def test_malformed_chunks_raise_only_our_error(pieces: list[bytes]) -> None:
    stream = EventStream(REQUEST)
    stream.receive(HEAD)

    for piece in pieces:
        try:
            stream.receive(piece)
        except ConnectionLostError:
            return


def test_an_event_is_handed_on_as_soon_as_it_is_whole() -> None:
    stream = EventStream(REQUEST)

    assert stream.receive(HEAD + b"9\r\ndata: 1\n").encode() == HEAD
    assert stream.receive(b"\n").events == b"data: 1\n\n"


def test_an_event_that_is_too_long_to_wait_for_is_handed_on_and_cannot_be_gone_on_with() -> None:
    stream = EventStream(REQUEST)
    long = b"data: " + b"x" * EVENT_LIMIT

    given_on = handed_on(stream, HEAD, chunk(long))
    assert not stream.can_resume
    given_on += handed_on(stream, chunk(b"\n\n"), LAST)

    assert body(given_on) == long + b"\n\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_stream_of_events_cannot_go_on_with_one(answer: bytes) -> None:
    stream = EventStream(REQUEST)
    stream.receive(HEAD + chunk(b"data: 1\n\n"))
    stream.restart()

    with pytest.raises(ConnectionLostError):
        stream.receive(answer)
    assert stream.can_resume, "another connection may bring more"
