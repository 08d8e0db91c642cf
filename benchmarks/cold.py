"""Cold, the daemon runs: `ocattach NAME --print-url` without a link, against the same by hand (`by_hand.py`)."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.by_hand import BY_HAND
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.places import NAME, Place, Places, milliseconds

GOAL = Goal("ratio", 1.15)


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """A URL of a daemon that runs already, in each kind of environment that is elsewhere."""
    for place in places.available(*BY_HAND):
        hand = BY_HAND[place.scheme](place)
        place.connect()
        daemon = hand.find()
        ways: dict[str, Callable[[], float]] = {
            "ocattach": partial(connect, place),
            "least": partial(timed, partial(hand.minimum, daemon), hand.tidy),
            "most": partial(timed, hand.whole, hand.tidy),
        }
        times = take_turns(repetitions, ways)
        what = f"{place.scheme}: ocattach NAME --print-url, daemon running"
        yield Figure(what, "ms", times["ocattach"], hand.most, times["most"], GOAL)
        yield Figure(what, "ms", times["ocattach"], hand.least, times["least"], GOAL)


def connect(place: Place) -> float:
    """Milliseconds to a URL, without a link."""
    place.disconnect()
    return timed(lambda: place.ocattach(NAME, "--print-url"))


def timed(work: Callable[[], object], afterwards: Callable[[], None] | None = None) -> float:
    """Milliseconds that some work takes."""
    begun = time.perf_counter()
    work()
    taken = milliseconds(begun)
    if afterwards:
        afterwards()
    return taken
