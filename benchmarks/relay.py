"""The relay: round trips, throughput and new connections, against `docker exec -i NAME nc 127.0.0.1 PORT`.

By hand each connection has an exec of its own; round trips and throughput are those of one that is open.
"""

from collections.abc import Iterator

from benchmarks.far_end import far_end
from benchmarks.figures import Figure, take_turns
from benchmarks.near_end import near_end
from benchmarks.places import Places
from benchmarks.traffic import by_netcat, by_port, figures, look

OUR_CONNECTIONS, NETCAT_CONNECTIONS = 50, 3


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """A container's port, by the relay and by nc."""
    place = places["docker"]
    with far_end(place.environment.network) as port, near_end(place, port) as local:
        looks = take_turns(
            repetitions,
            {
                "relay": lambda: look(by_port(local), connections=OUR_CONNECTIONS),
                "nc": lambda: look(by_netcat(place, port), connections=NETCAT_CONNECTIONS),
            },
        )
    yield from figures("docker", looks["relay"], looks["nc"], "docker exec -i nc")
