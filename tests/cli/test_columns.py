"""Tables of connections: whole in a pipe, legible on terminals that are narrow."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.directories import short_directory
from tests.survey.desk import Desk

SHARED: dict[str, dict[str, Any]] = {
    "api": {"transport": "docker", "compose": {"project": "shop", "service": "api"}, "workdir": "/srv/app"},
    "cluster": {
        "transport": "k8s",
        "deployment": "api",
        "namespace": "shop",
        "context": "development-cluster",
    },
    "frontend": {"transport": "docker", "container": "frontend-app", "workdir": "/app"},
}
TARGETS = {
    "api": "docker://compose/shop/api:/srv/app",
    "cluster": "k8s://deployment/api?namespace=shop&context=development-cluster",
    "frontend": "docker://mine:/app",
}


@pytest.fixture
def desk() -> Iterator[Desk]:
    """In a project of three environments, one of which the user has a connection of the same name for."""
    with short_directory() as home:
        project = home / "projects" / "a-shop-with-a-name-that-alone-takes-forty"
        (project / ".git").mkdir(parents=True)
        (project / "opencode.json").write_text(json.dumps({"environments": SHARED}))
        desk = Desk(home)
        desk.save("frontend", {**SHARED["frontend"], "container": "mine"})
        desk.home = project
        yield desk


def file(desk: Desk) -> Path:
    return desk.home / "opencode.json"


def test_in_a_pipe_a_listed_connection_is_one_line_however_long(desk: Desk) -> None:
    _, *rows = [re.split(r"  +", line) for line in desk.run("--list").stdout.splitlines()]

    assert rows == [
        ["api", TARGETS["api"], f"project: {file(desk)}", "never"],
        ["cluster", TARGETS["cluster"], f"project: {file(desk)}", "never"],
        ["frontend", TARGETS["frontend"], f"user, hides project: {file(desk)}", "never"],
    ]


def test_in_a_pipe_a_definition_is_one_line_however_long(desk: Desk) -> None:
    _, *rows = [re.split(r"  +", line) for line in desk.run("trust").stdout.splitlines()]

    assert [row[0] for row in rows] == ["api", "cluster", "frontend"]
    assert {row[-1] for row in rows} == {str(file(desk))}


def test_in_a_pipe_the_size_of_a_terminal_elsewhere_does_not_matter(desk: Desk) -> None:
    listed = desk.run("--list").stdout
    desk.variables["COLUMNS"] = "40"

    assert desk.run("--list").stdout == listed


@pytest.mark.parametrize("width", [80, 120, 150])
def test_on_a_terminal_files_are_named_from_where_one_is_and_long_targets_have_a_line(
    desk: Desk, width: int
) -> None:
    with desk.terminal("--list", width=width) as opened:
        assert opened.wait_for_exit() == 0
        _, *lines = opened.screen().splitlines()

    rows = [re.split(r"  +", line.strip()) for line in lines]
    if width < 120:
        rows = [
            [name, *target, *others] for (name, *others), target in zip(rows[::2], rows[1::2], strict=True)
        ]
    assert rows == [
        ["api", TARGETS["api"], "project: opencode.json", "never"],
        ["cluster", TARGETS["cluster"], "project: opencode.json", "never"],
        ["frontend", TARGETS["frontend"], "user, hides project: opencode.json", "never"],
    ]


def test_a_directory_below_finds_the_file_above(desk: Desk) -> None:
    below = desk.home / "www"
    below.mkdir()
    desk.home = below
    with desk.terminal("--list", width=100) as opened:
        assert opened.wait_for_exit() == 0
        assert "project: ../opencode.json" in opened.screen()
