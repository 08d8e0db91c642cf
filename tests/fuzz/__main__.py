"""`python -m tests.fuzz TARGET --seconds 60`: look for input that breaks a promise; what is found is kept.

Bytes are mutated from the corpus. With --atheris (pip install atheris) coverage leads the way.
"""

import argparse
import random
import sys
import tempfile
import time
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import CORPUS, TARGETS, Target, corpus

ENOUGH = 10
"""Finds to work on, before there is more to be seen."""


def main() -> int:
    """Fuzz one target, or all in turn; the exit code is 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inputs", type=int, default=None, help="end after so many, whatever the time")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    if options.atheris:
        with_coverage(TARGETS[options.target], options)
    names = list(TARGETS) if options.target == "all" else [options.target]
    found = [path for name in names for path in fuzz(name, options.seconds, options.seed, options.inputs)]
    return 1 if found else 0


def fuzz(name: str, seconds: float, seed: int | None, inputs: int | None = None) -> list[Path]:
    """Mutate for a while; the files in which what was found is kept."""
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    known = [path.read_bytes() for path in corpus(name)]
    found, runs, began = [], 0, time.monotonic()
    while runs < inputs if inputs is not None else time.monotonic() < began + seconds:
        data = mutated(chance, known)
        runs += 1
        try:
            TARGETS[name](data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it was looked for
            found.append(keep(name, data))
            say(f"{name}: {error!r}\n  kept as {found[-1]}")
            if len(found) == ENOUGH:
                break
    say(
        f"{name}: {runs} inputs in {time.monotonic() - began:.0f} s (--seed {seed}), {len(found)} broke a promise"
    )
    return found


def keep(name: str, data: bytes) -> Path:
    """Add what was found to the corpus."""
    path = CORPUS / name / f"found-{sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def with_coverage(target: Target, options: Any) -> None:
    """Let atheris do it; it ends the process. What leads it further is not kept, only what breaks a promise."""
    atheris = import_module("atheris")
    atheris.instrument_all()
    folder = CORPUS / options.target
    words = [f"-max_total_time={options.seconds:.0f}", f"-artifact_prefix={folder}/found-"]
    atheris.Setup([sys.argv[0], *words, tempfile.mkdtemp(prefix="octfuzz"), str(folder)], target)
    atheris.Fuzz()


def say(text: str) -> None:
    """Tell whoever has started it."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
