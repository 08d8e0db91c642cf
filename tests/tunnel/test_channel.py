"""The connections of a relay: how much each may have under way, and what comes when nobody waits for it any more."""

import asyncio
import socket
from contextlib import suppress

import pytest

from ocattach.tunnel.channel import LARGEST_WINDOW, MOST_SPARE, Distance, Window
from ocattach.tunnel.frames import GRANT_SIZE, INITIAL_CREDIT, Frame, FrameType, encode
from ocattach.tunnel.multiplexer import Multiplexer
from tests.tunnel.routes import SocketStream

FAR = 3600
"""A round trip, in seconds, within which all that a test does has passed."""


def grown(window: Window) -> int:
    """The size of a window through which much has passed without a pause."""
    return INITIAL_CREDIT + sum(window.growth(GRANT_SIZE) for _ in range(4 * LARGEST_WINDOW // GRANT_SIZE))


@pytest.mark.parametrize(
    ("round_trip", "size"), [(FAR, LARGEST_WINDOW), (0, INITIAL_CREDIT), (None, INITIAL_CREDIT)]
)
def test_a_window_grows_within_its_limit_and_only_where_the_far_end_is_far(
    round_trip: float | None, size: int
) -> None:
    async def one() -> int:
        return grown(Window(Distance(round_trip)))

    assert asyncio.run(one()) == size


def test_all_windows_together_grow_within_a_limit_and_return_what_they_had() -> None:
    async def many() -> tuple[int, int]:
        distance = Distance(FAR)
        windows = [Window(distance) for _ in range(100)]
        growth = sum(grown(window) - INITIAL_CREDIT for window in windows)
        for window in windows:
            window.close()
        return growth, distance.spare

    growth, spare = asyncio.run(many())

    assert MOST_SPARE - INITIAL_CREDIT < growth <= MOST_SPARE
    assert spare == MOST_SPARE


class Client(asyncio.Protocol):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data.decode())

    def connection_lost(self, _error: Exception | None) -> None:
        self.told.append("lost")


def test_a_connection_that_opens_as_its_client_gives_up_costs_the_others_nothing() -> None:
    async def giving_up() -> tuple[bool, list[str]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            stream = SocketStream(server.getsockname()[1])
            relay, _ = server.accept()
        multiplexer, client = Multiplexer(stream), Client()
        with relay:
            relay.sendall(b"\0ocattach-relay 1\n")
            await multiplexer.start(within=10)
            opening = asyncio.create_task(multiplexer.open(client, "127.0.0.1", 4096))
            await asyncio.sleep(0)
            opening.cancel()
            for frame in (Frame(FrameType.OPENED, 1), Frame(FrameType.DATA, 1, b"late")):
                multiplexer.data_received(encode(frame))
            with suppress(asyncio.CancelledError):
                await opening
            await asyncio.sleep(0)
            is_lost = multiplexer.lost.done()
            multiplexer.close()
        stream.close()
        return is_lost, client.told

    is_lost, told = asyncio.run(giving_up())

    assert not is_lost
    assert told == ["made", "late", "lost"]
