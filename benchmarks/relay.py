"""The relay: round trips, throughput and new connections, against the same by hand; once more from 20 ms away.

docker, podman: `docker exec -i NAME nc 127.0.0.1 PORT`. Each connection has an exec of its own; round trips and
throughput are those of one that is open. ssh: `ssh -L`, k8s: `kubectl port-forward`, which are open already.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.by_hand import FORWARD, forward
from benchmarks.distance import distant
from benchmarks.far_end import far_end
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.near_end import near_end
from benchmarks.places import Place, Places
from benchmarks.traffic import ROUND_TRIPS, Open, by_netcat, by_port, figures, look

CONNECTIONS, NETCAT_CONNECTIONS = 50, 3
AGAINST = {"k8s": ("kubectl port-forward", Goal("ratio", 1)), "ssh": ("ssh -L", None)}

DISTANCE = 20
"""Milliseconds there and back."""

FAR_ROUND_TRIPS = ROUND_TRIPS // 10


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """A port of a container, a host and a pod, by the relay and by hand."""
    for place in places.available("docker", "podman", "ssh", "k8s"):
        with far_end(place.environment.network, uid=place.environment.home.stat().st_uid) as port:
            yield from beside(place, port, repetitions, place.scheme)
            with distant(place, milliseconds=DISTANCE) as far:
                yield from beside(
                    far, port, repetitions, f"{place.scheme}, {DISTANCE} ms away", FAR_ROUND_TRIPS
                )


def beside(
    place: Place, port: int, repetitions: int, name: str, round_trips: int = ROUND_TRIPS
) -> Iterator[Figure]:
    """The relay, and what a person would use, side by side."""
    with near_end(place, port) as local, by_hand(place, port) as (other, connections):
        looks = take_turns(
            repetitions,
            {
                "relay": partial(look, by_port(local), connections=CONNECTIONS, round_trips=round_trips),
                "other": partial(look, other, connections=connections, round_trips=round_trips),
            },
        )
    against, goal = AGAINST.get(place.scheme, (f"{place.scheme} exec -i nc", None))
    yield from figures(name, looks["relay"], looks["other"], against, goal)


@contextmanager
def by_hand(place: Place, port: int) -> Iterator[tuple[Open, int]]:
    """A way to the port without ocattach, and how many new connections to time."""
    if place.scheme not in FORWARD:
        yield by_netcat(place, port), NETCAT_CONNECTIONS
        return
    with forward(place, port) as forwarding:
        yield by_port(forwarding.port), CONNECTIONS
