"""Memory of a link after use, against `ssh -NL` and `kubectl port-forward` where they do the same.

Used means: sessions made and listed, forty requests at a time, the event stream open all the while.
USS is what would be free if the process ended; RSS counts also what it shares with others.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil

from benchmarks.by_hand import BY_HAND, forward
from benchmarks.figures import Figure, Goal
from benchmarks.places import Place, Places
from tests.main_job.laptop import Daemon

GOAL = Goal("value", 60)
SCHEMES = ("local", "docker", "podman", "ssh", "k8s")
FORWARDERS = {"ssh": "ssh -NL", "k8s": "kubectl port-forward"}
AT_ONCE, REQUESTS, SESSIONS = 40, 400, 5
MEBIBYTE = 1024 * 1024


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The link of each kind of environment; every repetition is a new link."""
    for place in places.available(*SCHEMES):
        used = [after_use(place) for _ in range(repetitions)]
        against = FORWARDERS.get(place.scheme, "")
        forwarding = [memory_by_hand(place)] * repetitions if against else []
        for number, (kind, goal) in enumerate((("RSS", GOAL), ("USS", None))):
            ours = [both[number] for both in used]
            others = [both[number] for both in forwarding]
            yield Figure(f"{place.scheme}: memory of the link, {kind}", "MiB", ours, against, others, goal)


def after_use(place: Place) -> tuple[float, float]:
    """RSS and USS of a new link that has been used."""
    place.disconnect()
    use(Daemon(place.connect()))
    (link,) = place.laptop.links()
    return memory_of(link)


def use(daemon: Daemon) -> None:
    """What a working day asks of a link, in short."""
    with daemon.stream("GET", "/global/event") as events, ThreadPoolExecutor(AT_ONCE) as pool:
        events.readline()
        for _ in range(SESSIONS):
            daemon.make_session()
        for status, _ in pool.map(lambda _: daemon.request("GET", "/session"), range(REQUESTS)):
            if status != 200:  # noqa: PLR2004
                raise RuntimeError(f"GET /session gave {status}")


def memory_by_hand(place: Place) -> tuple[float, float]:
    """RSS and USS of OpenSSH or kubectl, forwarding the same port."""
    document = place.connect()
    found = BY_HAND[place.scheme](place).find()
    with forward(place, found.port) as forwarding:
        own = {
            "url": f"http://127.0.0.1:{forwarding.port}",
            "username": "opencode",
            "password": found.password,
        }
        use(Daemon({**document, **own}))
        return memory_of(psutil.Process(forwarding.pid))


def memory_of(process: psutil.Process) -> tuple[float, float]:
    """RSS and USS in MiB."""
    memory = process.memory_full_info()
    return memory.rss / MEBIBYTE, memory.uss / MEBIBYTE
