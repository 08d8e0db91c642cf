"""uv.lock has a release for each requirement of pyproject.toml, from the public index alone."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PUBLIC = {"pypi.org", "files.pythonhosted.org"}


def load(name: str) -> Mapping[str, Any]:
    return tomllib.loads((ROOT / name).read_text())


@pytest.fixture(scope="module")
def lock() -> Mapping[str, Mapping[str, Any]]:
    """The locked packages by name."""
    return {package["name"]: package for package in load("uv.lock")["package"]}


def requirements() -> list[Requirement]:
    """What the project and its development need."""
    project = load("pyproject.toml")
    groups = project["dependency-groups"].values()
    return [Requirement(line) for lines in (project["project"]["dependencies"], *groups) for line in lines]


def test_it_is_made_from_the_requirements_as_they_are(lock: Mapping[str, Any]) -> None:
    metadata = lock["ocattach"]["metadata"]
    groups = metadata["requires-dev"].values()
    locked = [entry for entries in (metadata["requires-dist"], *groups) for entry in entries]

    assert {(entry["name"], entry["specifier"]) for entry in locked} == {
        (canonicalize_name(requirement.name), ordered(requirement)) for requirement in requirements()
    }, "uv lock"


def ordered(requirement: Requirement) -> str:
    """The specifier as uv writes it: the lower bound first."""
    return ",".join(sorted(map(str, requirement.specifier), key=lambda text: text[0], reverse=True))


def test_every_requirement_has_a_release_that_fits(lock: Mapping[str, Any]) -> None:
    for requirement in requirements():
        assert lock[canonicalize_name(requirement.name)]["version"] in requirement.specifier


def test_no_index_but_the_public_one_is_named(lock: Mapping[str, Any]) -> None:
    files = [
        file
        for package in lock.values()
        for file in (*package.get("wheels", ()), *filter(None, [package.get("sdist")]))
    ]
    sources = [package["source"]["registry"] for package in lock.values() if "registry" in package["source"]]

    assert {urlsplit(url).hostname for url in (*sources, *(file["url"] for file in files))} == PUBLIC
