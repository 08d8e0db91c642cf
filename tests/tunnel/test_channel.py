"""How much a connection of a relay may have under way."""

import asyncio

import pytest

from ocattach.tunnel.channel import LARGEST_WINDOW, Window
from ocattach.tunnel.frames import GRANT_SIZE, INITIAL_CREDIT


async def grown(round_trip: float | None) -> int:
    """The size of a window through which much has passed without a pause."""
    window = Window(lambda: round_trip)
    return INITIAL_CREDIT + sum(window.growth(GRANT_SIZE) for _ in range(4 * LARGEST_WINDOW // GRANT_SIZE))


def test_a_window_grows_within_its_limit_where_the_far_end_is_far() -> None:
    assert asyncio.run(grown(round_trip=3600)) == LARGEST_WINDOW


@pytest.mark.parametrize("round_trip", [0, None])
def test_a_window_stays_small_where_the_far_end_is_near(round_trip: float | None) -> None:
    assert asyncio.run(grown(round_trip)) == INITIAL_CREDIT
