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


def needed(
    packages: Mapping[str, Package], edges: list[Mapping[str, Any]], python: str | None
) -> Iterator[Package]:
    """Yield what the edges of the graph lead to, each package once, for a version of Python or this one."""
    version = {"python_version": python, "python_full_version": f"{python}.0"} if python else {}
    seen: set[tuple[str, str]] = set()
    while edges:
        edge = edges.pop()
        wanted = {(edge["name"], extra) for extra in ("", *edge.get("extra", ()))} - seen
        if not wanted or not Marker(edge.get("marker", "python_version > '3'")).evaluate(version):
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


def locked_requirements(group: str = "", *, builder: bool = False, python: str | None = None) -> list[str]:
    """Return the lines for the project's dependencies and those of a group; `builder` adds what builds it."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    packages = {package["name"]: package for package in locked}
    project = packages[PROJECT]
    edges = [*project["dependencies"], *project["dev-dependencies"].get(group, ())]
    edges += [{"name": BUILDER}] if builder else []
    return sorted(map(requirement, needed(packages, edges, python)))


def main() -> None:
    """Print one line for each package."""
    sys.stdout.writelines(f"{line}\n" for line in locked_requirements("".join(sys.argv[1:]), builder=True))


if __name__ == "__main__":
    main()
