"""The ssh transport of this checkout, against that of another one and against `ssh`, side by side.

The other checkout is named by OCATTACH_BENCH_OTHER, for instance the worktree of an earlier commit. Its programs run
with a configuration and state of their own; host, daemon and far end are the same. Memory is that of the link with all
the processes that it has started: ssh's master, the shell that ends the master, and the ssh of each open command.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.by_hand import SSHByHand, forward
from benchmarks.cold import connect, timed
from benchmarks.far_end import far_end
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.gate import AT_ONCE, many
from benchmarks.memory import MEBIBYTE, use
from benchmarks.near_end import near_end
from benchmarks.places import NAME, Place, Places
from benchmarks.traffic import Traffic, by_port, look
from tests.main_job.laptop import Daemon, Laptop
from tests.rigs.availability import Unavailable
from tests.rigs.opencode import CHECKOUT
from tests.rigs.processes import command_lines

OTHER = "OCATTACH_BENCH_OTHER"
COLD = Goal("ratio", 1.15)
NO_WORSE = Goal("ratio", 1)
MEMORY = Goal("value", 45)
CONNECTIONS = 20
MEMORY_SAMPLES = 3
TRAFFIC = (
    ("new_connection", "new connection", "ms", NO_WORSE),
    ("round_trip", "round trip, median", "ms", NO_WORSE),
    ("slow_round_trip", "round trip, 99th percentile", "ms", None),
    ("up", "up", "MiB/s", None),
    ("down", "down", "MiB/s", None),
)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a link after use, in MiB."""

    rss: float
    pss: float
    link: float
    """RSS of the link alone."""


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """Cold, the tunnel, and memory; each figure once against the other checkout and once against ssh."""
    checkout = os.environ.get(OTHER)
    if not checkout:
        raise Unavailable(f"{OTHER} does not name another checkout")
    ours = places["ssh"]
    theirs = of_checkout(ours, Path(checkout))
    try:
        yield from cold(ours, theirs, repetitions)
        yield from tunnels(ours, theirs, Path(checkout), repetitions)
        yield from memory(ours, theirs, min(repetitions, MEMORY_SAMPLES))
    finally:
        theirs.laptop.end_links()


def of_checkout(place: Place, checkout: Path) -> Place:
    """The same environment, used by the programs of another checkout from a laptop of their own."""
    home = place.environment.laptop / "other"
    variables = {
        **place.environment.variables,
        **{f"OCATTACH_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "STATE", "RUNTIME")},
        "PYTHONPATH": str(checkout),
    }
    environment = replace(place.environment, variables=variables)
    other = Place(place.scheme, environment, Laptop(environment))
    other.ocattach("--save", NAME, f"{place.scheme}://{place.target}", "--workdir", environment.workdir)
    return other


def cold(ours: Place, theirs: Place, repetitions: int) -> Iterator[Figure]:
    """A URL of a daemon that runs already, without a link."""
    ours.connect()
    hand = SSHByHand(ours)
    daemon = hand.find()
    times = take_turns(
        repetitions,
        {
            "ours": partial(connect, ours),
            "other": partial(connect, theirs),
            "least": partial(timed, partial(hand.minimum, daemon), hand.tidy),
            "most": partial(timed, hand.whole, hand.tidy),
        },
    )
    ours.disconnect()
    theirs.disconnect()
    what = "ocattach NAME --print-url, daemon running"
    yield Figure(what, "ms", times["ours"], hand.most, times["most"], COLD)
    yield Figure(what, "ms", times["ours"], hand.least, times["least"], COLD)
    yield Figure(what, "ms", times["ours"], "other checkout", times["other"])


def tunnels(ours: Place, theirs: Place, checkout: Path, repetitions: int) -> Iterator[Figure]:
    """A port of the host, by three tunnels that are open all the while."""
    account = ours.environment.home.stat().st_uid
    with ExitStack() as stack:
        port = stack.enter_context(far_end(ours.environment.network, uid=account))
        ports = {
            "ours": stack.enter_context(near_end(ours, port, CHECKOUT)),
            "other checkout": stack.enter_context(near_end(theirs, port, checkout)),
            "ssh -L": stack.enter_context(forward(ours, port)).port,
        }
        looks = take_turns(
            repetitions, each(ports, lambda local: look(by_port(local), connections=CONNECTIONS))
        )
        at_once = take_turns(repetitions, each(ports, many))
    for against in ("other checkout", "ssh -L"):
        goals = against == "other checkout"
        yield from traffic_figures(looks["ours"], looks[against], against, has_goals=goals)
        what = f"{AT_ONCE} connections at once, for each request"
        yield Figure(what, "ms", at_once["ours"], against, at_once[against], NO_WORSE if goals else None)


def each(ports: Mapping[str, int], work: Callable[[int], T]) -> dict[str, Callable[[], T]]:
    return {name: partial(work, port) for name, port in ports.items()}


def traffic_figures(
    ours: list[Traffic], others: list[Traffic], against: str, *, has_goals: bool
) -> Iterator[Figure]:
    for field, what, unit, goal in TRAFFIC:
        mine, theirs = ([getattr(one, field) for one in looks] for looks in (ours, others))
        yield Figure(
            what, unit, mine, against, theirs, goal if has_goals else None, higher_is_better=unit == "MiB/s"
        )


def memory(ours: Place, theirs: Place, samples: int) -> Iterator[Figure]:
    """Links after use, each with the processes that it has started."""
    used = take_turns(samples, {"ours": partial(after_use, ours), "other": partial(after_use, theirs)})
    for field, what, goal in (
        ("rss", "memory of link and ssh processes, RSS", MEMORY),
        ("pss", "memory of link and ssh processes, PSS", None),
        ("link", "memory of the link alone, RSS", None),
    ):
        mine, others = ([getattr(one, field) for one in used[name]] for name in ("ours", "other"))
        yield Figure(what, "MiB", mine, "other checkout", others, goal)


def after_use(place: Place) -> Memory:
    """Use a new link as in `memory.py`, and measure its processes."""
    place.disconnect()
    use(Daemon(place.connect()))
    (link,) = place.laptop.links()
    infos = [process.memory_full_info() for process in processes_of(link)]
    rss, pss = (sum(getattr(info, name) for info in infos) / MEBIBYTE for name in ("rss", "pss"))
    place.disconnect()
    return Memory(rss, pss, infos[0].rss / MEBIBYTE)


def processes_of(link: psutil.Process) -> list[psutil.Process]:
    """The link, its children, and the master in the background, whose control directory has the link's pid."""
    mark = f"/ssh-{link.pid}-"
    family = [link, *link.children(recursive=True)]
    known = {process.pid for process in family}
    masters = [
        pid for pid, argv in command_lines() if any(mark in word for word in argv) and pid not in known
    ]
    return [*family, *map(psutil.Process, masters)]
