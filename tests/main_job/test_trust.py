"""A project's definition is used once its user has seen and approved what it would do."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.environments import Environment
from tests.main_job.laptop import OCATTACH, Laptop
from tests.main_job.test_terminal import terminal
from tests.rigs.terminal import Terminal

pytestmark = pytest.mark.parametrize("environment", ["local"], indirect=True)

SHOP = {"transport": "local", "description": "the shop", "forward_env": ["SHOP_KEY"]}
NO_START = ("--print-url", "--no-start")
NONE_RUNS = 6
"""The exit code of a command that may use the definition, and finds no daemon."""

PINNED = re.compile(r"OCATTACH_TRUST=(sha256:[0-9a-f]{64})")


class Project:
    """A project in which the laptop's user stands."""

    def __init__(self, laptop: Laptop, directory: Path) -> None:
        self.file = directory / "opencode.json"
        (directory / ".git").mkdir(parents=True)
        laptop.cwd = directory
        self.define(shop=SHOP)

    def define(self, **environments: Any) -> None:
        self.file.write_text(json.dumps({"environments": environments}))


@pytest.fixture
def project(laptop: Laptop, workdir: Path) -> Project:
    return Project(laptop, workdir / "shop")


def answer(opened: Terminal, text: str) -> str:
    """Answer the question; all that was on the screen before."""
    screen = opened.wait_for("Use shop? [y/n]:")
    opened.send_text(text)
    opened.send_keys("Enter")
    return screen


def ledger(laptop: Laptop) -> Mapping[str, Any]:
    """What is remembered."""
    file = laptop.state / "trust.json"
    found: Mapping[str, Any] = json.loads(file.read_text())["projects"] if file.exists() else {}
    return found


def test_the_first_use_shows_what_would_be_done_and_asks_once(
    environment: Environment, laptop: Laptop, project: Project, workdir: Path
) -> None:
    with terminal(laptop, workdir, "shop", "--print-url", SHOP_KEY="k") as opened:
        screen = answer(opened, "y")
        assert opened.wait_for_exit() == 0

    for words in (
        f"shop is defined by {project.file}, which you have not approved",
        'transport: "local"',
        'description: "the shop"',
        'forward_env: ["SHOP_KEY"]',
        "run `opencode serve` in local://",
        "plugins",
        "use the account: yours, on this machine",
        "pass the values of your variables to its daemon: SHOP_KEY",
    ):
        assert words in screen
    assert list(ledger(laptop)) == [str(project.file)]
    assert environment.processes()
    assert laptop.run("shop", "--print-url").exit_code == 0


def test_who_says_no_is_asked_again_and_nothing_was_started(
    environment: Environment, laptop: Laptop, project: Project, workdir: Path
) -> None:
    for _ in range(2):
        with terminal(laptop, workdir, "shop", "--print-url") as opened:
            assert str(project.file) in answer(opened, "n")
            assert opened.wait_for_exit() == 5
    assert not ledger(laptop)
    assert not environment.processes()


def test_enter_alone_is_no_yes(laptop: Laptop, project: Project, workdir: Path) -> None:
    with terminal(laptop, workdir, "trust", "shop") as opened:
        answer(opened, "")
        opened.wait_for(lambda screen: screen.count("[y/n]") == 2)
        opened.send_keys("C-c")
        assert opened.wait_for_exit() == 130
    assert not ledger(laptop), project.file


def test_a_change_is_shown_and_asked_about(laptop: Laptop, project: Project, workdir: Path) -> None:
    assert laptop.run("trust", "shop").exit_code == 0
    project.define(shop={**SHOP, "workdir": "/srv", "forward_env": ["SHOP_KEY", "AWS_SECRET_ACCESS_KEY"]})

    with terminal(laptop, workdir, "trust", "shop") as opened:
        screen = answer(opened, "y")
        assert opened.wait_for_exit() == 0

    assert "which has changed since you approved it" in screen
    lines = [line.rstrip() for line in screen.splitlines()]
    assert '  - forward_env: ["SHOP_KEY"]' in lines
    assert '  + forward_env: ["SHOP_KEY", "AWS_SECRET_ACCESS_KEY"]' in lines
    assert '  + workdir: "/srv"' in lines
    assert '    description: "the shop"' in lines
    assert "to its daemon: SHOP_KEY, AWS_SECRET_ACCESS_KEY (2 of them currently not set)" in screen


def test_what_a_definition_says_cannot_hide_the_question(
    laptop: Laptop, project: Project, workdir: Path
) -> None:
    project.define(
        shop={
            **SHOP,
            "transport": "docker",
            "container": "c",
            "env": {"A": "\x1b[2J\r\nUse shop? y", "B": "x" * 4000},
        }
    )

    with terminal(laptop, workdir, "trust", "shop") as opened:
        screen = answer(opened, "n")
        assert opened.wait_for_exit() == 5
        all_of_it = opened.screen(history=True)

    assert "run `opencode serve` in docker://c" in screen, "above the question, whatever came before"
    assert r'env.A: "\u001b[2J\r\nUse shop? y"' in all_of_it


def test_without_a_terminal_it_is_refused_with_each_way_to_go_on(
    environment: Environment, laptop: Laptop, project: Project
) -> None:
    ran = laptop.run("shop", "--print-url", "-o", "json")

    assert ran.exit_code == 5
    error = ran.document["error"]
    assert error["code"] == "not-trusted"
    assert str(project.file) in error["message"]
    for command in ("ocattach trust --list shop", "ocattach trust shop", "ocattach shop --trust"):
        assert command in error["hint"]
    assert PINNED.search(error["hint"])
    assert not environment.processes()


def test_a_script_says_trust_and_a_change_is_refused_again(laptop: Laptop, project: Project) -> None:
    assert laptop.run("shop", *NO_START, "--trust").exit_code == NONE_RUNS
    assert laptop.run("shop", *NO_START).exit_code == NONE_RUNS

    project.define(shop={**SHOP, "description": "another"})

    ran = laptop.run("shop", "--print-url")
    assert ran.exit_code == 5
    assert "has changed since you approved it" in ran.stderr


def test_in_ci_a_variable_pins_the_content(laptop: Laptop, project: Project) -> None:
    hint = laptop.run("shop", "--print-url", "-o", "json").document["error"]["hint"]
    (value,) = PINNED.findall(hint)
    pinned = {"OCATTACH_TRUST": value}

    assert laptop.run("shop", *NO_START, variables=pinned).exit_code == NONE_RUNS
    assert not ledger(laptop)
    assert laptop.run("shop", "--print-url").exit_code == 5

    project.define(shop={**SHOP, "workdir": "/"})
    assert laptop.run("shop", "--print-url", variables=pinned).exit_code == 5


def test_nothing_else_in_the_project_is_read_for_the_verdict(laptop: Laptop, project: Project) -> None:
    (value,) = PINNED.findall(laptop.run("shop", "--print-url", "-o", "json").document["error"]["hint"])
    marker = project.file.parent / "marker"
    contents = {
        ".py": f"open({str(marker)!r}, 'w')",
        ".json": json.dumps({"schema": 2, "projects": {str(project.file): {"shop": {"definition": SHOP}}}}),
    }
    for name in (".env", ".envrc", "sitecustomize.py", "ocattach.py", "trust.json", "config.yaml"):
        (project.file.parent / name).write_text(contents.get(Path(name).suffix, f"OCATTACH_TRUST={value}\n"))

    program = Path(OCATTACH[0]).with_name("ocattach")
    ran = subprocess.run(
        [program, "shop", "--print-url"],
        env=laptop.variables,
        cwd=laptop.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )

    assert ran.returncode == 5
    assert not marker.exists()


def test_all_definitions_are_listed_with_how_one_stands_to_them(laptop: Laptop, project: Project) -> None:
    project.define(old=SHOP, gone=SHOP, kept=SHOP)
    for name in ("old", "gone", "kept"):
        assert laptop.run("trust", name).exit_code == 0
    project.define(old={**SHOP, "workdir": "/"}, kept=SHOP, shop=SHOP, bad={"transport": "lokal"})

    ran = laptop.run("trust", "--list", "-o", "json")

    found = {each["name"]: each for each in ran.document["definitions"]}
    states = {name: each["state"] for name, each in found.items()}
    assert states == {"old": "changed", "kept": "approved", "shop": "new", "gone": "gone"}
    assert found["old"]["definition"] == {**SHOP, "workdir": "/"}
    assert found["old"]["approved"]["definition"] == SHOP
    assert found["shop"]["approved"] is None
    table = laptop.run("trust").stdout
    for name, state in states.items():
        assert re.search(rf"^{name} +{state} .*{re.escape(str(project.file))}", table, re.MULTILINE)


def test_to_look_is_not_to_approve(laptop: Laptop, project: Project) -> None:
    ran = laptop.run("trust", "--list", "shop")

    assert ran.exit_code == 0
    assert 'description: "the shop"' in ran.stderr
    assert not ledger(laptop), project.file


def test_an_approval_can_be_taken_back(laptop: Laptop, project: Project) -> None:
    laptop.run("trust", "shop")

    ran = laptop.run("trust", "--revoke", "shop", "-o", "json")

    assert ran.document["revoked"] == [{"name": "shop", "path": str(project.file)}]
    assert laptop.run("shop", "--print-url").exit_code == 5


def test_one_of_a_project_that_is_gone_can_be_taken_back_from_anywhere(
    laptop: Laptop, project: Project, workdir: Path
) -> None:
    laptop.run("trust", "shop")
    project.file.unlink()
    laptop.cwd = workdir

    assert str(project.file) in laptop.run("trust", "--revoke", "shop").stderr
    assert not ledger(laptop)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("trust", "shopp"), 3, "Did you mean shop?"),
        (("trust", "frontend"), 2, "frontend is saved by you"),
        (("trust", "--list", "shopp"), 3, "Did you mean shop?"),
        (("trust", "--revoke"), 2, "requires a NAME"),
        (("trust", "--revoke", "--list"), 2, "together"),
    ],
)
@pytest.mark.usefixtures("project")
def test_what_cannot_be_meant_is_told(
    laptop: Laptop, arguments: tuple[str, ...], exit_code: int, words: str
) -> None:
    ran = laptop.run(*arguments)

    assert ran.exit_code == exit_code
    assert words in ran.stderr


def test_a_bad_definition_is_shown_with_its_error_and_the_others_work(
    laptop: Laptop, project: Project
) -> None:
    project.define(bad={"transport": "docker", "contianer": "c"}, shop=SHOP)

    listed = laptop.run("--list")
    document = laptop.run("--list", "-o", "json").document

    assert listed.exit_code == 0
    assert re.search(r"^shop +local:// +project: ", listed.stdout, re.MULTILINE)
    assert f"{project.file}:1: environments: bad: docker has no key 'contianer'" in listed.stderr
    assert "Did you mean container" in listed.stderr
    sources = {each["name"]: each["source"] for each in document["connections"]}
    assert sources["shop"] == {"kind": "project", "path": str(project.file)}
    assert [problem["name"] for problem in document["problems"]] == ["bad"]
    assert laptop.run("shop", *NO_START, "--trust").exit_code == NONE_RUNS
    assert laptop.run("bad", "--print-url").exit_code == 2


def test_a_connection_of_ones_own_loads_nothing_of_all_this(laptop: Laptop, project: Project) -> None:
    ran = laptop.run("frontend", *NO_START, variables={"PYTHONPROFILEIMPORTTIME": "1"})

    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if "|" in line}
    assert "ocattach.config.saved" in loaded
    assert project.file.exists()
    names = ("trust", "approvals", "files.ownership", "project", "files.jsonc")
    assert loaded.isdisjoint({"ocattach.cli.approval", *(f"ocattach.config.{name}" for name in names)})
