"""Imports: how long those of the warm foreground take, and which SDKs each process has loaded.

An SDK that the scheme at hand does not need is a defect. What is loaded is seen from within the real processes: a
module named sitecustomize, first on their PYTHONPATH, writes down sys.modules when they end.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.cold import timed
from benchmarks.figures import Figure, Goal, take_turns
from benchmarks.places import NAME, Place, Places
from tests.rigs.waiting import wait_until

WARM_PATH = "import ocattach.cli.main, ocattach.cli.commands.attach"
GOAL = Goal("value", 0)

SDKS = {"docker", "requests", "urllib3", "paramiko", "cryptography", "kubernetes", "rich", "yaml", "asyncio"}
NEEDED = {
    "local": {"asyncio"},
    "docker": {"asyncio", "docker", "requests", "urllib3"},
    "ssh": {"asyncio"},
}
"""What the link of each scheme may load."""

WITNESS = """\
import atexit, json, os, sys
def write():
    loaded = sorted(name for name, module in sys.modules.items() if module is not None)
    with open(os.path.join(os.environ["IMPORTS_SEEN"], f"{os.getpid()}.new"), "w") as file:
        json.dump({"argv": sys.orig_argv, "modules": loaded}, file)
    os.rename(file.name, file.name.removesuffix("new") + "json")
atexit.register(write)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one process had loaded at its end."""

    is_link: bool
    modules: frozenset[str]


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The time of the imports, then the SDKs of each scheme."""
    for place in places.available("local"):
        yield from import_time(place, repetitions)
    for place in places.available(*NEEDED):
        link, foreground = seen_in(place)
        for who, modules, may in (
            ("link", link, NEEDED[place.scheme]),
            ("warm foreground", foreground, set[str]()),
        ):
            needless = sorted(SDKS & modules - may)
            what = f"{place.scheme}: needless SDKs in the {who}" + f" ({', '.join(needless)})" * bool(
                needless
            )
            yield Figure(what, "", [len(needless)], goal=GOAL)
            yield Figure(f"{place.scheme}: modules loaded in the {who}", "", [len(modules)])


def import_time(place: Place, repetitions: int) -> Iterator[Figure]:
    """What importing costs before anything is done."""
    ways = {"ours": WARM_PATH, "python -c pass": "pass", "python -c 'import click'": "import click"}
    times = take_turns(
        repetitions,
        {
            name: partial(timed, partial(place.run, [sys.executable, "-c", code]))
            for name, code in ways.items()
        },
    )
    ours = times.pop("ours")
    for name, others in times.items():
        yield Figure("imports of the warm foreground", "ms", ours, name, others)


def seen_in(place: Place) -> tuple[frozenset[str], frozenset[str]]:
    """The modules of a link, and those of a foreground that found it alive."""
    folder = place.environment.laptop / "imports-seen"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITNESS)
    variables = {"PYTHONPATH": str(folder), "IMPORTS_SEEN": str(folder)}
    place.disconnect()
    place.ocattach(NAME, "--print-url", variables=variables)
    before = set(folder.glob("*.json"))
    place.ocattach(NAME, "--print-url", variables=variables)
    (foreground,) = (read(file) for file in set(folder.glob("*.json")) - before)
    place.disconnect()
    link = wait_until(lambda: last_link(folder), "the link to end")
    return link.modules, foreground.modules


def last_link(folder: Path) -> Seen | None:
    """What the link has written down, once it has."""
    return next((seen for seen in map(read, folder.glob("*.json")) if seen.is_link), None)


def read(file: Path) -> Seen:
    """What one process has written down."""
    content = json.loads(file.read_text())
    return Seen("ocattach.link" in content["argv"], frozenset(content["modules"]))
