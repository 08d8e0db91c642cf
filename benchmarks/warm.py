"""Warm: `ocattach NAME` on a live link, from the command to the exec of the TUI.

The TUI is a stand-in named opencode that says when it has started; it runs on a pseudo terminal, as the TUI must.
Against: the stand-in executed directly, and by a Python that does nothing else, with and without click.
The Python that does nothing is the floor under everything written in it.
"""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.places import NAME, OCATTACH, Place, Places, milliseconds

GOAL = Goal("value", 100)
SCHEMES = ("local", "docker", "podman", "ssh", "k8s")
STAND_IN = """\
#!/bin/sh
[ "$1" != --version ] || { echo 1.18.33; exit; }
echo started >"$STAND_IN_STARTED"
"""
SECONDS = 30


@dataclass(frozen=True, slots=True)
class StandIn:
    """A program in the place of the TUI."""

    program: Path
    variables: Mapping[str, str]
    started: int
    """Descriptor of a fifo that can be read once the program runs."""

    def time(self, argv: Sequence[str]) -> float:
        """Milliseconds from the start of argv, which ends in the stand-in, to that one's own start."""
        terminal, far = pty.openpty()
        try:
            begun = time.perf_counter()
            with subprocess.Popen(argv, stdin=far, stdout=far, stderr=far, env=self.variables) as process:
                ready, _, _ = select.select([self.started], [], [], SECONDS)
                taken = milliseconds(begun)
                if not ready:
                    process.kill()
                    said = os.read(terminal, 4096).decode(errors="replace")
                    raise RuntimeError(f"{argv[0]} did not come to the TUI in {SECONDS} s: {said}")
                os.read(self.started, 100)
            return taken
        finally:
            os.close(far)
            os.close(terminal)


@contextmanager
def stand_in(place: Place) -> Iterator[StandIn]:
    """The stand-in, first on the laptop's PATH."""
    folder = place.environment.laptop / "stand-in"
    folder.mkdir()
    program, fifo = folder / "opencode", folder / "started"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    os.mkfifo(fifo)
    started = os.open(fifo, os.O_RDWR)  # with a writer of our own it never looks ended
    path = f"{folder}{os.pathsep}{place.environment.variables['PATH']}"
    variables = {**place.environment.variables, "PATH": path, "STAND_IN_STARTED": str(fifo)}
    try:
        yield StandIn(program, variables, started)
    finally:
        os.close(started)


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The warm way to the TUI in each kind of environment, and what is below it."""
    for place in places.available(*SCHEMES):
        place.connect()
        with stand_in(place) as standing:
            program = str(standing.program)
            execute = f"import os; os.execv({program!r}, [{program!r}])"
            ways = {
                "ocattach": [*OCATTACH, NAME],
                "python -c pass": [sys.executable, "-c", execute],
                "python -c 'import click'": [sys.executable, "-c", f"import click; {execute}"],
                "the TUI executed directly": [program],
            }
            times = take_turns(
                repetitions, {name: partial(standing.time, argv) for name, argv in ways.items()}
            )
        ours = times.pop("ocattach")
        for number, (name, others) in enumerate(times.items()):
            goal = None if number else GOAL
            yield Figure(f"{place.scheme}: ocattach NAME to the TUI", "ms", ours, name, others, goal)
