"""The relay: round trips, throughput and new connections, against the same by hand.

docker, podman: `docker exec -i NAME nc 127.0.0.1 PORT`. Each connection has an exec of its own; round trips and
throughput are those of one that is open. k8s: `kubectl port-forward`, which is open already; once more with the
cluster 20 ms away.
"""

from collections.abc import Iterator
from functools import partial

from benchmarks.by_hand import FORWARD, forward
from benchmarks.distance import distant
from benchmarks.far_end import far_end
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.near_end import near_end
from benchmarks.places import Place, Places
from benchmarks.traffic import ROUND_TRIPS, by_netcat, by_port, figures, look

CONNECTIONS, NETCAT_CONNECTIONS = 50, 3
AHEAD = Goal("ratio", 1)


DISTANCE = 20
"""Milliseconds there and back."""


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """A port of a container and of a pod, by the relay and by hand."""
    for place in places.available("docker", "podman", "k8s"):
        with far_end(place.environment.network) as port:
            if place.scheme not in FORWARD:
                with near_end(place, port) as local:
                    relay = partial(look, by_port(local), connections=CONNECTIONS)
                    other = partial(look, by_netcat(place, port), connections=NETCAT_CONNECTIONS)
                    looks = take_turns(repetitions, {"relay": relay, "other": other})
                yield from figures(place.scheme, looks["relay"], looks["other"], f"{place.scheme} exec -i nc")
                continue
            yield from beside_forward(place, port, repetitions, place.scheme, ROUND_TRIPS)
            with distant(place, milliseconds=DISTANCE) as far:
                name = f"{place.scheme}, {DISTANCE} ms away"
                yield from beside_forward(far, port, repetitions, name, ROUND_TRIPS // 10)


def beside_forward(
    place: Place, port: int, repetitions: int, name: str, round_trips: int
) -> Iterator[Figure]:
    """The relay and `kubectl port-forward`, both open already."""
    with near_end(place, port) as local, forward(place, port) as forwarding:
        ways = {"relay": by_port(local), "other": by_port(forwarding.port)}
        looks = take_turns(
            repetitions,
            {
                key: partial(look, way, connections=CONNECTIONS, round_trips=round_trips)
                for key, way in ways.items()
            },
        )
    yield from figures(name, looks["relay"], looks["other"], "kubectl port-forward", AHEAD)
