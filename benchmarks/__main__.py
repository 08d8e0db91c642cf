"""`python -m benchmarks`: run the measurements, print a table, keep the results as JSON."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast

import click
from rich.console import Console

from benchmarks import machine, table
from benchmarks.figures import Figure
from benchmarks.places import Places
from tests.rigs.availability import Unavailable
from tests.rigs.leash import leash

RESULTS = Path(__file__).with_name("results")
MEASUREMENTS = (
    "imports",
    "warm",
    "cold",
    "start",
    "relay",
    "ssh_clients",
    "forwards",
    "gate",
    "memory",
    "survey",
    "many",
    "sessions",
    "events",
    "peers",
)


class Measurement(Protocol):
    """A module that measures something."""

    __doc__: str

    def measure(self, places: Places, repetitions: int) -> Iterator[Figure]:
        """The figures, each as soon as it is known. Raises Unavailable when the machine cannot have any."""


@click.command()
@click.option("--only", multiple=True, type=click.Choice(MEASUREMENTS), help="This measurement; repeatable.")
@click.option("--repetitions", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document instead of tables.")
def main(*, only: Sequence[str], repetitions: int, as_json: bool) -> None:
    """Measure ocattach against the same work by hand, side by side."""
    # Installed programs have their bytecode; without it each start would compile.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, interrupt)  # so that everything is taken back then, too
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=table.NARROWEST)
    names = [name for name in MEASUREMENTS if name in (only or MEASUREMENTS)]
    facts = machine.facts()
    table.show_machine(facts, console)
    results: dict[str, Any] = {}
    with leash(), Places() as places:
        for name in names:
            results[name] = run(name, places, repetitions, console)
    for scheme, reason in places.missing.items():
        console.print(f"not measured with {scheme}: {reason}", markup=False)
    document = {
        "machine": {**facts, "load at the end": os.getloadavg()[0]},
        "repetitions": repetitions,
        "measurements": results,
        "missing": places.missing,
    }
    text = json.dumps(document, indent=2)
    keep(text, "latest" if len(names) == len(MEASUREMENTS) else "-".join(names))
    if as_json:
        print(text)
    sys.exit(any("failed" in result for result in results.values()))


def run(name: str, places: Places, repetitions: int, console: Console) -> Any:
    """One measurement: shown, and given as JSON."""
    measurement = cast("Measurement", import_module(f"benchmarks.{name}"))
    title, _, more = measurement.__doc__.partition("\n\n")
    try:
        with console.status(title):
            figures = list(measurement.measure(places, repetitions))
    except Unavailable as reason:
        console.print(f"{title}\n  skipped: {reason}\n", markup=False)
        return {"skipped": str(reason)}
    except Exception as error:  # noqa: BLE001  the others are worth having all the same
        console.print_exception()
        return {"failed": f"{type(error).__name__}: {error}"}
    table.show(title, more.strip(), figures, console)
    return [figure.to_json() for figure in figures]


def keep(text: str, name: str) -> None:
    """Write the results where those of the last run were; a run of some measurements has a file of its own."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name.replace('_', '-')}.json").write_text(text + "\n")


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
