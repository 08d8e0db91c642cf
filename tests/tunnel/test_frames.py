from collections import deque
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.errors import ConnectionLostError
from ocattach.tunnel.frames import (
    BANNER_START,
    DATA_LIMIT,
    NOISE_LIMIT,
    BannerFinder,
    Decoder,
    Frame,
    FrameType,
    encode,
    header,
    open_frame,
    window_frame,
)

streams = st.integers(1, 2**32 - 1)
frames = st.one_of(
    st.builds(open_frame, streams, st.sampled_from(["127.0.0.1", "::1", "localhost"]), st.integers(1, 65535)),
    st.builds(Frame, st.sampled_from([FrameType.OPENED, FrameType.EOF]), streams, st.just(b"")),
    st.builds(Frame, st.just(FrameType.DATA), streams, st.binary(min_size=1, max_size=300)),
    st.builds(window_frame, streams, st.integers(0, 2**32 - 1)),
    st.builds(Frame, st.just(FrameType.RESET), streams, st.binary(max_size=64)),
    st.builds(Frame, st.sampled_from([FrameType.PING, FrameType.PONG]), st.just(0), st.binary(max_size=64)),
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.lists(frames, max_size=20), st.lists(st.integers(0, 10_000)))
def test_frames_survive_any_split(sent: list[Frame], cuts: list[int]) -> None:
    decoder = Decoder()

    received = [frame for piece in pieces(b"".join(map(encode, sent)), cuts) for frame in decoder.feed(piece)]

    assert received == sent


def test_the_largest_frame_survives_byte_by_byte() -> None:
    sent = [Frame(FrameType.DATA, 7, bytes(DATA_LIMIT)), Frame(FrameType.EOF, 7)]
    decoder = Decoder()

    received = [frame for byte in b"".join(map(encode, sent)) for frame in decoder.feed(bytes([byte]))]

    assert received == sent


@given(st.lists(st.binary(max_size=200)))
def test_malformed_input_raises_only_our_error(received: list[bytes]) -> None:
    decoder = Decoder()

    try:
        for piece in received:
            decoder.feed(piece)
    except ConnectionLostError:
        pass


@pytest.mark.parametrize(
    "malformed",
    [
        header(FrameType.DATA, 1, DATA_LIMIT + 1),
        header(FrameType.DATA, 1, 0),
        header(FrameType.WINDOW, 1, 3),
        header(FrameType.PONG, 0, 65),
        bytes(9),
        b"\x09" + bytes(8),
    ],
)
def test_a_malformed_header_is_refused_before_its_payload_comes(malformed: bytes) -> None:
    with pytest.raises(ConnectionLostError, match="The relay sent a"):
        Decoder().feed(malformed)


@given(st.binary(max_size=2000), st.binary(max_size=50), st.lists(st.integers(0, 3000)))
def test_garbage_before_the_banner_is_skipped(garbage: bytes, rest: bytes, cuts: list[int]) -> None:
    finder = BannerFinder()
    after: bytes | None = None

    for piece in pieces(garbage.replace(b"\0", b"") + BANNER_START + b"1\n" + rest, cuts):
        after = finder.feed(piece) if after is None else after + piece

    assert after == rest


@given(st.integers(1, 3 * NOISE_LIMIT))
def test_garbage_without_a_banner_is_bounded(size: int) -> None:
    finder = BannerFinder()
    garbage = repeat(b"x" * size, NOISE_LIMIT // size + len(BANNER_START))

    with pytest.raises(ConnectionLostError, match="did not announce itself within 64 KiB"):
        deque(map(finder.feed, garbage), maxlen=0)


@pytest.mark.parametrize("version", [b"2\n", b"\n", b"1.1\n", b"one\n", b"123456789012345678"])
def test_another_version_is_an_error_that_says_so(version: bytes) -> None:
    with pytest.raises(ConnectionLostError, match="version"):
        BannerFinder().feed(BANNER_START + version)
