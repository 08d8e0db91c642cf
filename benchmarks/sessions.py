"""Sessions: the first screen of `ocattach session list` over twenty environments, and the index when it is large.

Each environment is a container with a daemon of its own, 5,000 sessions in it, and a live link.
Against it: curl of the same page from each of them, all at once, through the same links.
The large index is asked by the whole program, and by itself; a new session costs the same in it as in a small one.
"""

import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks.cold import timed
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.places import OCATTACH, Place, Places
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session, Tokens
from tests.main_job.laptop import Daemon
from tests.rigs.docker import DockerEngine
from tests.sessions.catalogue import PROGRAM, copying

SCREEN, OFFLINE, LINEAR = Goal("value", 1000), Goal("value", 150), Goal("ratio", 1.1)
NAMES = [f"app-{number}" for number in range(20)]
EACH = 5_000
STARTS = 4
"""Daemons that are started at once."""

SHOWN = 50
LARGE, SMALL = 1_000_000, 100_000
BATCH = 10_000
NOW = 1_795_000_000_000


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The list of many environments, then that of a large index."""
    for place in places.available("docker"):
        engine = cast("DockerEngine", places.getfixturevalue("docker_engine"))
        with furnished(place, engine) as daemons:
            by_hand = ["sh", "-c", " & ".join([*map(curl, daemons), "wait"])]
            ways = {
                "ocattach": partial(timed, partial(place.ocattach, "session", "list")),
                "by hand": partial(timed, partial(place.run, by_hand)),
            }
            times = take_turns(repetitions, ways)
        what = f"docker: session list, {len(NAMES)} environments x {EACH} sessions, links up"
        yield Figure(
            what, "ms", times["ocattach"], "curl URL/experimental/session?limit=50", times["by hand"], SCREEN
        )
    yield from index_figures(repetitions)


@contextmanager
def furnished(place: Place, engine: DockerEngine) -> Iterator[list[dict[str, Any]]]:
    """Containers with daemons, links and sessions; what `--print-url` says of each."""
    with ExitStack() as stack:
        (place.laptop.config / "connections/frontend.yaml").unlink()  # it has no link
        for name in NAMES:
            stack.enter_context(engine.container(name))
            place.laptop.save(name, container=name)
        stack.callback(lambda: place.ocattach("--disconnect", "--all"))

        def begin(name: str) -> dict[str, Any]:
            document: dict[str, Any] = json.loads(place.ocattach(name, "--print-url", "-o", "json"))
            script = copying(Daemon(document).make_session(), [NOW - number for number in range(EACH)])
            place.run(
                ["docker", "exec", name, "sh", "-c", PROGRAM, script.replace("ses_copy", f"ses_{name[4:]}x")]
            )
            return document

        try:
            with ThreadPoolExecutor(STARTS) as pool:
                yield list(pool.map(begin, NAMES))
        finally:
            for name in NAMES:
                (place.laptop.config / "connections" / f"{name}.yaml").unlink()


def curl(document: dict[str, Any]) -> str:
    """What a person would type, who knows URL and password."""
    user = f"{document['username']}:{document['password']}"
    url = f"{document['url']}/experimental/session?limit={SHOWN}"
    return shlex.join(["curl", "-sf", "-u", user, "-o", os.devnull, url])


def index_figures(repetitions: int) -> Iterator[Figure]:
    """What a million sessions cost those who ask nobody."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        small, large = (Path(directory, name, "sessions.db") for name in ("small", "large"))
        for file, count in ((small, SMALL), (large, LARGE)):
            fill(file, count)
        places = {"OCATTACH_STATE_DIR": str(large.parent), "OCATTACH_CONFIG_DIR": directory}
        ways = {
            "list": partial(timed, partial(run, ["session", "list", "--offline", "-n", str(SHOWN)], places)),
            "version": partial(timed, partial(run, ["--version"], places)),
            "query": partial(timed, partial(latest, large)),
            "query small": partial(timed, partial(latest, small)),
            "put": partial(timed, partial(put_one, large)),
            "put small": partial(timed, partial(put_one, small)),
        }
        times = take_turns(repetitions, ways)
        size, size_small = ([each.stat().st_size / count] for each, count in ((large, LARGE), (small, SMALL)))
    many, few = f"{LARGE:,} sessions", f"{SMALL:,}"
    what = f"{many}: session list --offline -n {SHOWN}"
    yield Figure(what, "ms", times["list"], "ocattach --version", times["version"], OFFLINE)
    yield Figure(f"{many}: the query alone", "ms", times["query"], few, times["query small"])
    yield Figure(f"{many}: writing one", "ms", times["put"], few, times["put small"])
    yield Figure(f"{many}: size of each", "bytes", size, few, size_small, LINEAR)


def fill(file: Path, count: int) -> None:
    """An index with so many sessions, of twenty environments."""
    with Index(file) as index:
        for start in range(0, count, BATCH):
            environment = f"{start // BATCH % len(NAMES):016x}"
            index.put(some(environment, start, BATCH), environment, time.time())


def some(environment: str, start: int, count: int) -> Sequence[Session]:
    """Sessions as people have them."""
    return [
        Session(
            id=f"ses_{number:026d}",
            environment=environment,
            origin=f"app-{environment[-2:]}",
            title=f"Fix API rate limiting, attempt {number}",
            directory="/var/www/app",
            project="global",
            created=NOW - 1000 * number,
            updated=NOW - 977 * number,
            cost=0.25,
            tokens=Tokens(input=number, output=100),
            model="claude-sonnet",
            provider="anthropic",
            agent="build",
        )
        for number in range(start, start + count)
    ]


def latest(file: Path) -> None:
    with Index(file) as index:
        index.latest(Wanted(), limit=SHOWN)


def put_one(file: Path) -> None:
    with Index(file) as index:
        index.put(some(f"{0:016x}", 0, 1), f"{0:016x}", time.time())


def run(arguments: Sequence[str], places: dict[str, str]) -> None:
    subprocess.run([*OCATTACH, *arguments], env={**os.environ, **places}, check=True, capture_output=True)
