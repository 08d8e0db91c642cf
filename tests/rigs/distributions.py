"""A package of a folder, as if pip had installed it: importable, and its entry points known."""

import importlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rigs.directories import short_directory


@contextmanager
def installed(folder: Path) -> Iterator[str]:
    """Install what a folder's pyproject.toml describes, for this process; PYTHONPATH for others."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    with short_directory() as site, pytest.MonkeyPatch.context() as patch:
        for group, points in project["entry-points"].items():
            write_metadata(site, project["name"], group, points)
        for directory in (folder, site):
            patch.syspath_prepend(directory)
        given = os.environ.get("PYTHONPATH")
        yield os.pathsep.join([str(site), str(folder), *([given] if given else [])])
    importlib.invalidate_caches()


def write_metadata(site: Path, name: str, group: str, entry_points: Mapping[str, str]) -> None:
    """Write what pip writes of a distribution, as far as entry points need it (entry-points specification of PyPA)."""
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{key} = {value}" for key, value in entry_points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
