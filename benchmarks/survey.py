"""The state of forty environments: `ocattach --status`, against the same by hand, six at a time.

docker, podman   docker inspect NAME; docker exec NAME sh -c 'cat …/ocattach/*/daemon'   is it running, and a daemon?
ssh              ssh HOST 'cat …/ocattach/*/daemon'
Each environment is the place's own with another port for its daemon: none runs there, and each has to be asked.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.by_hand import FIND
from benchmarks.cold import timed
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.places import Place, Places

GOAL = Goal("ratio", 1.15)
NAMES = [f"many-{number}" for number in range(40)]
FIRST_PORT = 20000
AT_ONCE = 6
SECONDS = "60"


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """Forty environments of each engine, and forty on one host."""
    for place in places.available("docker", "podman", "ssh"):
        with saved(place):
            by_hand = [
                "sh",
                "-c",
                f"seq {len(NAMES)} | xargs -P {AT_ONCE} -I NUMBER sh -c {shlex.quote(one(place))}",
            ]
            ways = {
                "ocattach": partial(timed, partial(place.ocattach, "--status", *NAMES, "--timeout", SECONDS)),
                "by hand": partial(timed, partial(place.run, by_hand)),
            }
            times = take_turns(repetitions, ways)
        what = f"{place.scheme}: ocattach --status, {len(NAMES)} environments"
        yield Figure(
            what, "ms", times["ocattach"], f"{AT_ONCE} at a time: {words(place)}", times["by hand"], GOAL
        )


@contextmanager
def saved(place: Place) -> Iterator[None]:
    """The environments as saved connections."""
    for number, name in enumerate(NAMES):
        place.laptop.save(name, daemon_port=FIRST_PORT + number)
    try:
        yield
    finally:
        for name in NAMES:
            (place.laptop.config / "connections" / f"{name}.yaml").unlink()


def one(place: Place) -> str:
    """What a person types to know how one environment stands; no daemon is no failure."""
    look = shlex.join(place.exec("sh", "-c", f"{FIND} || true"))
    return look if place.scheme == "ssh" else f"{place.scheme} inspect {place.target} && {look}"


def words(place: Place) -> str:
    """The same in short."""
    return (
        "ssh HOST cat …" if place.scheme == "ssh" else f"{place.scheme} inspect; {place.scheme} exec … cat …"
    )
