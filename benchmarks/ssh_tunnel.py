"""The ssh tunnel: round trips, throughput and new connections, against `ssh -L` of OpenSSH."""

from collections.abc import Iterator

from benchmarks.by_hand import forward
from benchmarks.far_end import far_end
from benchmarks.figures import Figure, take_turns
from benchmarks.near_end import near_end
from benchmarks.places import Places
from benchmarks.traffic import by_port, figures, look

CONNECTIONS = 50


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """A host's port, by our tunnel and by OpenSSH's."""
    place = places["ssh"]
    with (
        far_end(place.environment.network, uid=place.environment.home.stat().st_uid) as port,
        near_end(place, port) as local,
        forward(place, port) as forwarding,
    ):
        looks = take_turns(
            repetitions,
            {
                "ours": lambda: look(by_port(local), connections=CONNECTIONS),
                "theirs": lambda: look(by_port(forwarding.port), connections=CONNECTIONS),
            },
        )
    yield from figures("ssh", looks["ours"], looks["theirs"], "ssh -L")
