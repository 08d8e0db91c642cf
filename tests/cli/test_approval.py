"""What decides about a project's definition is on a screen of 24 lines when the question is asked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.project import LONGEST_DEFINITION, LONGEST_VARIABLE, MOST_VARIABLES, definition
from ocattach.errors import UsageError
from tests.rigs.terminal import Terminal
from tests.survey.conftest import desk
from tests.survey.desk import Desk

__all__ = ["desk"]

ENGINE = "tcp://engine.example.com:2375"
DOCKER = {"transport": "docker", "container": "www", "user": "root", "host": ENGINE}
WIDE, HIGH = 80, 24
FILE = Path("/opencode.json")


def define(desk: Desk, entry: Mapping[str, Any]) -> None:
    (desk.home / ".git").mkdir(exist_ok=True)
    (desk.home / "opencode.json").write_text(json.dumps({"environments": {"www": entry}}))


def names(count: int, *, longest: int = 8) -> list[str]:
    return [f"N{number:03}".ljust(longest, "X") for number in range(count)]


def longest(entry: Mapping[str, Any], *, each: int) -> dict[str, Any]:
    """The definition with as many variables handed over as it may have, and all else that may be long."""
    found = {
        **entry,
        "env": dict.fromkeys(names(MOST_VARIABLES), "v" * (LONGEST_VARIABLE - 8)),
        "description": "d" * 300,
    }
    for count in range(1, 200):
        try:
            definition("www", {**found, "forward_env": names(count, longest=each)}, FILE)
        except UsageError:
            return {**found, "forward_env": names(count - 1, longest=each)}
    raise AssertionError(entry)


@pytest.mark.parametrize("each", [4, 8, 40, 300])
@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (DOCKER, ["docker://root@www:/app", f"engine: {ENGINE}", "account: root"]),
        (
            {"transport": "ssh", "host": "staging", "user": "deploy"},
            ["ssh://deploy@staging", "account: deploy"],
        ),
        ({"transport": "k8s", "pod": "api", "context": "prod"}, ["k8s://api", "cluster: context prod"]),
    ],
    ids=["docker", "ssh", "k8s"],
)
def test_the_longest_definition_leaves_what_decides_on_the_screen(
    desk: Desk, entry: Mapping[str, Any], shown: list[str], each: int
) -> None:
    whole = longest({**entry, "workdir": "/app"}, each=each)
    define(desk, whole)
    with desk.terminal("trust", "www", width=WIDE, height=HIGH) as opened:
        text = question(opened)

    screen = text.replace("\n", "")
    for words in [*shown, "serve` in", *whole["forward_env"]]:
        assert words.replace(" ", "") in screen.replace(" ", ""), words


def question(opened: Terminal) -> str:
    """The screen when the question is asked."""
    screen = opened.wait_for("Use www? [y/n]:")
    opened.send_text("n")
    opened.send_keys("Enter")
    assert opened.wait_for_exit() == 5
    return screen


@pytest.mark.parametrize(
    "change",
    [
        {"forward_env": names(120)},
        {"forward_env": ["A" * LONGEST_DEFINITION]},
        {"unset_env": names(120)},
        {"workdir": "/" + "x" * LONGEST_DEFINITION},
        {"opencode": "/" + " " * LONGEST_DEFINITION},
        {"description": " " * 400},
        {"env": dict.fromkeys(names(MOST_VARIABLES + 1), "1")},
        {"env": {"A": "x" * (LONGEST_VARIABLE + 1)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_definition_that_could_not_be_shown_is_refused(desk: Desk, change: Mapping[str, Any]) -> None:
    define(desk, {**DOCKER, **change})

    ran = desk.run("trust", "www")

    assert ran.returncode == 2
    assert "more than" in ran.stderr
    assert str(desk.home / "opencode.json") in ran.stderr


def test_an_approval_without_a_question_and_the_heading_name_the_engine(desk: Desk) -> None:
    define(desk, DOCKER)

    ran = desk.run("www", "--trust", "--no-start", "--print-url")
    assert (
        f"Approved www of {desk.home}/opencode.json: docker://root@www, engine: {ENGINE}, account: root"
        in ran.stderr
    )
    heading = next(line for line in ran.stderr.splitlines() if line.startswith("Connecting to"))
    assert ENGINE in heading
