"""Prints where the minutes of a test run went, from its junit file: `python -m tests.minutes run.xml`."""

import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path


def table(junit: Path) -> str:
    """Tests and minutes for each directory as a Markdown table, the longest first; time spent waiting counts."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for case in ET.parse(junit).iter("testcase"):  # noqa: S314  our own file
        directory = "/".join(case.attrib["classname"].split(".")[:2])
        seconds[directory].append(float(case.attrib["time"]))
    rows = sorted(seconds.items(), key=lambda row: -sum(row[1]))
    lines = [f"| `{directory}` | {len(times)} | {sum(times) / 60:.1f} |" for directory, times in rows]
    return "\n".join(["| directory | tests | minutes |", "| --- | --- | --- |", *lines])


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1])) + "\n")
