"""How much a connection of a relay may have under way."""

import asyncio

import pytest

from ocattach.tunnel.channel import LARGEST_WINDOW, MOST_SPARE, Distance, Window
from ocattach.tunnel.frames import GRANT_SIZE, INITIAL_CREDIT

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
