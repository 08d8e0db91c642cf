"""The rows for people and for later: on a terminal, as Markdown, as JSON."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.bench import Result
from tests.faults.ledger import Counts

HEADINGS = (
    "fault",
    "site",
    "drops",
    "noticed after, median / worst [s]",
    "usable again after, median / worst [s]",
    "not usable by itself",
    "sent",
    "delivered once",
    "error, yet delivered once",
    "refused with an error",
    "kept by nobody: OpenCode was killed",
    "LOST",
    "TWICE",
    "left over (all gone after [s])",
    "TUI",
    "link MiB",
)

NOTES = """\
- **noticed after**: from the fault to the reset of an event stream that is read through the link; its reader has no \
time-out of its own.
- **usable again after**: from the far side's return (where the fault is over at once: from the fault) to the first \
prompt that is accepted with 204. Prompts are 0.1 s apart for each of 4 senders.
- **delivered once / LOST / TWICE**: by the messages that the daemon has in the end, asked past the link. No sender \
tries again. LOST: accepted, or never answered, and not there.
- **kept by nobody**: OpenCode accepted them with 204 in the seconds before OpenCode itself was killed, and has not \
kept them. The rows `daemon-killed-control` have clients without ocattach, and show that this is OpenCode's own.
- **left over**: after `ocattach --disconnect`, and the time that a relay takes to notice: processes, sockets and \
files here; relays, sshd and exec sessions and files there. Log and lock files here, and the daemon, are meant to stay.
- Where the daemon was killed, or the container or pod with it, **usable again** has the start of OpenCode in it.
- One prompt of eight is answered by the scripted model, the others are only kept (`noReply`).
"""


def show(results: Iterable[Result], console: Console) -> None:
    """On a terminal, as far as it is wide enough."""
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for result in results:
        table.add_row(*cells(result))
    console.print(table)


def cells(result: Result) -> list[str]:
    """A row."""
    counts = result.counts
    return [
        result.fault,
        result.site,
        str(result.drops),
        times(result.noticed),
        times(result.usable),
        str(result.unusable or ""),
        *(str(getattr(counts, field.name) or 0) for field in fields(Counts)),
        f"{len(result.leftovers)}" if result.leftovers else f"0 ({result.gone_after:.0f})",
        result.terminal,
        " → ".join(f"{value:.0f}" for value in result.memory),
    ]


def times(seconds: Sequence[float]) -> str:
    """Median and worst."""
    return f"{statistics.median(seconds):.2f} / {max(seconds):.2f}" if seconds else ""


def total(results: Iterable[Result]) -> Result:
    """All rows as one."""
    rows = list(results)
    summary = Result("all", "", "")
    summary.drops = sum(row.drops for row in rows)
    summary.unusable = sum(row.unusable for row in rows)
    summary.counts = sum((row.counts for row in rows), Counts())
    summary.leftovers = [name for row in rows for name in row.leftovers]
    return summary


def markdown(results: Sequence[Result], facts: Mapping[str, Any], missing: Mapping[str, str]) -> str:
    """The page."""
    lines = ["# What faults do", "", "Made by `make faults`.", ""]
    lines += [", ".join(f"{name} {value}" for name, value in facts.items() if value is not None), ""]
    lines += [row(HEADINGS), row(["---"] * len(HEADINGS))]
    lines += [row(cells(result)) for result in [*results, total(results)]]
    lines += ["", NOTES, "What each fault is:", ""]
    lines += sorted({f"- `{result.fault}`: {explained(result)}" for result in results})
    for title, said in (("Wrong", remarks(results)), ("Figures", figures(results))):
        lines += ["", f"{title}:", "", *(said or ["- nothing"])]
    if missing:
        lines += ["", "Not measured:", "", *(f"- {site}: {reason}" for site, reason in missing.items())]
    return "\n".join(lines) + "\n"


def row(words: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(words)} |"


def explained(result: Result) -> str:
    """What was done, and what was only simulated."""
    return result.what + (f" (simulated: {result.simulated})" if result.simulated else "")


def remarks(results: Iterable[Result]) -> list[str]:
    """All that went wrong."""
    return [
        f"- `{result.fault}` on {result.site}: {remark}"
        for result in results
        for remark in (
            *result.remarks,
            *(f"left over: {name}" for name in result.leftovers),
            *(
                f"{what} for {count} prompts"
                for what, count in result.errors.items()
                if not result.may_refuse
            ),
            *(
                f"{what} for {count} reads"
                for what, count in result.failed_reads.items()
                if not result.may_refuse
            ),
        )
    ]


def figures(results: Iterable[Result]) -> list[str]:
    """What some faults have to tell beyond the table."""
    return [
        f"- `{result.fault}` on {result.site}: {name} {value}"
        for result in results
        for name, value in result.figures.items()
    ]


def keep(
    results: Sequence[Result], facts: Mapping[str, Any], missing: Mapping[str, str], folder: Path, name: str
) -> None:
    """Write both files."""
    folder.mkdir(exist_ok=True)
    document = {
        "machine": dict(facts),
        "results": [asdict(result) for result in results],
        "missing": dict(missing),
    }
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / f"{name}.md").write_text(markdown(results, facts, missing))
