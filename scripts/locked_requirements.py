"""Print what uv.lock has for this Python, as requirements with hashes: `locked_requirements.py [GROUP]`.

pip installs them by `--require-hashes`, from whichever index it is configured for. `uv sync` would use the URLs in
the lock file only.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# There is nothing but pip where this is run first.
from pip._vendor.packaging.markers import Marker

ROOT = Path(__file__).parents[1]
PROJECT = "ocattach"
BUILDER = "hatchling"
"""Builds the project, in the same environment: pip would fetch another one without hashes."""

Package = Mapping[str, Any]


def needed(packages: Mapping[str, Package], group: str) -> Iterator[Package]:
    """Yield the project's dependencies, those of a group, and theirs, each once."""
    project = packages[PROJECT]
    edges = [*project["dependencies"], *project["dev-dependencies"].get(group, ()), {"name": BUILDER}]
    seen: set[tuple[str, str]] = set()
    while edges:
        edge = edges.pop()
        wanted = {(edge["name"], extra) for extra in ("", *edge.get("extra", ()))} - seen
        if not wanted or not Marker(edge.get("marker", "python_version > '3'")).evaluate():
            continue
        package = packages[edge["name"]]
        for _, extra in wanted:
            extras = package.get("optional-dependencies", {})
            edges += extras.get(extra, ()) if extra else package.get("dependencies", ())
        if (edge["name"], "") not in seen:
            yield package
        seen |= wanted


def requirement(package: Package) -> str:
    """Return the line for a package, with the hashes of its wheels."""
    hashes = sorted({file["hash"] for file in package["wheels"]})
    return " ".join([f"{package['name']}=={package['version']}", *(f"--hash={each}" for each in hashes)])


def main() -> None:
    """Print one line for each package."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    found = needed({package["name"]: package for package in locked}, "".join(sys.argv[1:]))
    sys.stdout.writelines(sorted(f"{requirement(package)}\n" for package in found))


if __name__ == "__main__":
    main()
