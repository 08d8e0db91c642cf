"""The relay: round trips, throughput and new connections, against the same by hand.

docker, podman: `docker exec -i NAME nc 127.0.0.1 PORT`. Each connection has an exec of its own; round trips and
throughput are those of one that is open. k8s: `kubectl port-forward`, which is open already.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks.by_hand import FORWARD, forward
from benchmarks.far_end import far_end
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.near_end import near_end
from benchmarks.places import Places
from benchmarks.traffic import by_netcat, by_port, figures, look

CONNECTIONS, NETCAT_CONNECTIONS = 50, 3
AHEAD = Goal("ratio", 1)


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """A port of a container and of a pod, by the relay and by hand."""
    for place in places.available("docker", "podman", "k8s"):
        with ExitStack() as stack:
            port = stack.enter_context(far_end(place.environment.network))
            local = stack.enter_context(near_end(place, port))
            if place.scheme in FORWARD:
                against, goal, connections = "kubectl port-forward", AHEAD, CONNECTIONS
                other = by_port(stack.enter_context(forward(place, port)).port)
            else:
                against, goal, connections = f"{place.scheme} exec -i nc", None, NETCAT_CONNECTIONS
                other = by_netcat(place, port)
            ways = {"relay": (by_port(local), CONNECTIONS), "other": (other, connections)}
            looks = take_turns(
                repetitions,
                {name: partial(look, way, connections=count) for name, (way, count) in ways.items()},
            )
        yield from figures(place.scheme, looks["relay"], looks["other"], against, goal)
