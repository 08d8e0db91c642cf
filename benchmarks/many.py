"""Many connections: 300 names on an engine, 1,000 daemons, twenty links at once.

The names on docker are thirty environments with ten working directories each; in none a daemon runs, and each has to be
asked. The 1,000 daemons are one server of the tests, a path for each, with two sessions each; it shares the machine.
The memory of a link of its own is its USS, what would be free if it ended; PSS counts its share of what several have.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Goal
from benchmarks.places import OCATTACH, Place, Places
from tests.rigs.busy_daemon import busy_daemons
from tests.rigs.directories import short_directory
from tests.rigs.odd_daemon import VERSION, OddDaemon, odd_daemon, session
from tests.survey.desk import Desk

ENVIRONMENTS, DIRECTORIES = 30, 10
FIRST_PORT = 20000
COUNTS = (100, 300, 1000)
PATIENT = ("--timeout", "30")
LINKS = 20
MEBIBYTE = 1024 * 1024
GOALS = [Goal("value", limit) for limit in (500, 250, 2500, 2000)]
"""Of `--list`, completion, `--status` and its processor time, for 300 names."""

NO_GOALS = [None] * len(GOALS)
OWN = Goal("value", 25)
COMPLETION = {"_OCATTACH_COMPLETE": "bash_complete", "COMP_WORDS": "ocattach ", "COMP_CWORD": "1"}


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """Names on docker, then simulated daemons, then links."""
    yield from on_docker(places["docker"], repetitions)
    for count in COUNTS:
        yield from simulated(count, max(1, repetitions // 5))
    yield from links_together()


def on_docker(place: Place, repetitions: int) -> Iterator[Figure]:
    """300 names on one engine."""
    count = ENVIRONMENTS * DIRECTORIES
    with short_directory() as home:
        desk = Desk(home)
        variables = {**place.environment.variables, **desk.variables}
        for number in range(count):
            environment, directory = divmod(number, DIRECTORIES)
            port = FIRST_PORT + environment
            entry = {**place.environment.entry, "daemon_port": port, "workdir": f"/dir-{directory}"}
            desk.save(f"many-{number}", entry)
        yield from commands(f"{count} names on docker", home, variables, repetitions, GOALS)


def simulated(count: int, repetitions: int) -> Iterator[Figure]:
    """Daemons at URLs."""
    with short_directory() as home, odd_daemon() as server:
        desk = Desk(home)
        for number in range(count):
            desk.save(f"many-{number}", {"transport": "http", "url": serve(server, f"/{number}")})
        yield from commands(f"{count} daemons", home, desk.variables, repetitions, NO_GOALS)


def serve(server: OddDaemon, base: str) -> str:
    """The URL of one more daemon."""
    sessions = [session(id=f"ses_{base[1:]}_{number}", directory=base) for number in range(2)]
    answers = {
        "/global/health": {"healthy": True, "version": VERSION},
        **dict.fromkeys(("/session", "/experimental/session"), sessions),
        "/permission": [],
        "/question": [],
        "/session/status": {},
    }
    for path, answer in answers.items():
        server.answer(base + path, answer)
    return server.url + base


def commands(
    what: str,
    home: Path,
    variables: Mapping[str, str],
    repetitions: int,
    goals: Sequence[Goal | None],
) -> Iterator[Figure]:
    """`--list`, completion and `--status` from a home with many connections."""
    listed = [took(home, variables, "--list")[0] for _ in range(repetitions)]
    yield Figure(f"{what}: --list", "ms", listed, goal=goals[0])
    completed = [took(home, {**variables, **COMPLETION})[0] for _ in range(repetitions)]
    yield Figure(f"{what}: completion of a name", "ms", completed, goal=goals[1])
    asked = [took(home, variables, "--status", *PATIENT) for _ in range(repetitions)]
    yield Figure(f"{what}: --status", "ms", [wall for wall, _ in asked], goal=goals[2])
    yield Figure(f"{what}: --status, processor time", "ms", [cpu for _, cpu in asked], goal=goals[3])


def took(home: Path, variables: Mapping[str, str], *arguments: str) -> tuple[float, float]:
    """Milliseconds of a command, and of the processors."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [*OCATTACH, *arguments], env=dict(variables), cwd=home, check=True, stdout=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - began, os.times()
    used = sum(after[2:4]) - sum(before[2:4])
    return wall * 1000, used * 1000


def links_together() -> Iterator[Figure]:
    """Memory of links that read the events of their daemons at the same time."""
    with busy_daemons(LINKS, pace=1, calls=1) as daemons, daemons.read(*daemons.names):
        daemons.await_links()
        memory = [link.memory_full_info() for link in daemons.links()]
    own, shared = [[getattr(each, kind) / MEBIBYTE for each in memory] for kind in ("uss", "pss")]
    yield Figure(f"{LINKS} links at once: memory of each of its own, USS", "MiB", own, goal=OWN)
    yield Figure(f"{LINKS} links at once: the same with its part of what they share, PSS", "MiB", shared)
