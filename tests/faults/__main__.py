"""`python -m tests.faults`: induce faults for long, print what became of the prompts, keep it for others to see."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from benchmarks import machine
from tests.faults import table
from tests.faults.bench import Bench, Result
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.site import Site
from tests.faults.sites import SITES, open_site
from tests.rigs.availability import Unavailable
from tests.rigs.leash import leash
from tests.rigs.opencode import CHECKOUT

RESULTS = Path(CHECKOUT, "benchmarks/results")
WIDTH = 220


@click.command()
@click.option(
    "--fault", "names", multiple=True, type=click.Choice(sorted(FAULTS)), help="This one; repeatable."
)
@click.option("--scheme", "sites", multiple=True, type=click.Choice(sorted(SITES)), help="Here; repeatable.")
@click.option("--repetitions", type=click.IntRange(min=1), help="So often each; else as each has it.")
@click.option("--factor", type=float, default=1.0, show_default=True, help="So many times as often.")
@click.option("--short", is_flag=True, help="As the tests do it.")
@click.option("--keep-as", default="", help="The name of the files; one of a whole run is `faults`.")
def main(
    *,
    names: Sequence[str],
    sites: Sequence[str],
    repetitions: int | None,
    factor: float,
    short: bool,
    keep_as: str,
) -> None:
    """Induce faults on real engines while prompts are sent, and say what became of them."""
    signal.signal(signal.SIGTERM, interrupt)  # so that everything is taken back then, too
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    chosen = [fault for name, fault in FAULTS.items() if name in (names or FAULTS)]
    results: list[Result] = []
    missing: dict[str, str] = {}

    def often(fault: type[Fault]) -> int:
        if repetitions is not None:
            return repetitions
        return fault.short if short else round(fault.long * factor)

    with leash():
        for name in [name for name in SITES if name in (sites or SITES)]:
            wanted = {fault: often(fault) for fault in chosen if name in fault.sites and often(fault)}
            try:
                results += at_site(name, wanted, console)
            except Unavailable as reason:
                missing[name] = str(reason)
    facts = {**machine.facts(), "load at the end": os.getloadavg()[0]}
    table.show([*results, table.total(results)], console)
    for remark in (*table.figures(results), *table.remarks(results)):
        console.print(remark, markup=False)
    is_whole = not (names or sites or short)
    if keep_as or is_whole:
        table.keep(results, facts, missing, RESULTS, keep_as or "faults")
    sys.exit(not all(result.is_clean for result in results))


def at_site(name: str, wanted: Mapping[type[Fault], int], console: Console) -> list[Result]:
    """The rows of one site, each shown as soon as it is known."""
    results: list[Result] = []
    if not wanted:
        return results
    with open_site(name) as site:
        for fault, repetitions in wanted.items():
            with timed(console, f"{fault.name} on {name}"):
                results.append(induce(site, fault, repetitions))
            console.print("  " + " | ".join(table.cells(results[-1])), markup=False)
            for remark in table.remarks(results[-1:]):
                console.print("  " + remark, markup=False)
    return results


def induce(site: Site, fault: type[Fault], repetitions: int) -> Result:
    """One row; a bench that breaks is a row, too, since the others are worth having."""
    bench = Bench(site, fault())
    try:
        return bench.run(repetitions)
    except Exception as error:  # noqa: BLE001  whatever it was, it is told
        bench.result.remarks.append(f"the bench broke: {type(error).__name__}: {error}")
        traceback.print_exc()
        return bench.result


@contextmanager
def timed(console: Console, what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    started = time.monotonic()
    console.print(f"{what} …")
    yield
    console.print(f"  {time.monotonic() - started:.0f} s")


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
