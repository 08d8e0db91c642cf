"""Cold, no daemon: `ocattach NAME --print-url`, against the bare start of `opencode serve` in that environment.

Bare means: `docker exec`, `podman exec`, `kubectl exec` or `ssh` runs it, its line "listening on" is awaited, and
health and a session request are answered, asked from within the environment. The line and not a poll of the port:
what is asked in the first moments after the port opens is never answered, and a poll would wait for that in vain.
"""

import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from urllib.parse import quote

import psutil

from benchmarks.by_hand import HEALTH
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.places import EXEC, NAME, Place, Places, milliseconds
from tests.rigs.waiting import wait_until

GOAL = Goal("difference", 300)
PORT = 4096
SERVE = f"opencode serve --hostname 127.0.0.1 --port {PORT}"


def bare_argv(place: Place) -> Sequence[str]:
    """The command that starts a daemon in the environment, without password, in the working directory."""
    folder = "~/.opencode/bin/" if place.scheme == "ssh" else ""
    return place.exec("sh", "-c", f"cd {place.environment.workdir} && exec {folder}{SERVE}")


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The start of a daemon, in each kind of environment that is elsewhere."""
    for place in places.available(*EXEC):
        place.connect()  # OpenCode makes its database on its first start: nobody's time
        place.stop()
        ways = {"ocattach": partial(connect, place), "bare": partial(start, place)}
        times = take_turns(repetitions, ways)
        runner = EXEC[place.scheme].partition(" {")[0]
        against = f"{runner} opencode serve, until it answers"
        what = f"{place.scheme}: ocattach NAME --print-url, no daemon"
        yield Figure(what, "ms", times["ocattach"], against, times["bare"], GOAL)


def connect(place: Place) -> float:
    """Milliseconds to a URL, without link and daemon; both are ended again."""
    begun = time.perf_counter()
    place.ocattach(NAME, "--print-url")
    taken = milliseconds(begun)
    place.stop()
    return taken


def start(place: Place) -> float:
    """Milliseconds to a bare daemon that answers; it is ended again."""
    begun = time.perf_counter()
    with subprocess.Popen(
        bare_argv(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=place.environment.variables,
    ) as process:
        try:
            listening = process.stdout is not None and any("listening on" in line for line in process.stdout)
            if not listening:
                raise RuntimeError(f"{SERVE} ended with {process.wait()}")
            place.request(PORT, HEALTH)
            place.request(PORT, f"/session?limit=1&directory={quote(place.environment.workdir, safe='')}")
            return milliseconds(begun)
        finally:
            end_daemons(place)
            process.kill()


def end_daemons(place: Place) -> None:
    """End every daemon in the environment."""
    for process in daemons(place):
        process.kill()
    wait_until(lambda: not daemons(place), "the daemon to end")


def daemons(place: Place) -> list[psutil.Process]:
    """The daemons in the environment."""
    found = []
    for process in place.environment.processes():
        try:
            if "serve" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
