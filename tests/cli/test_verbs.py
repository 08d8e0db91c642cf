"""Verbs beside the options of the request: `ocattach stop NAME` is `ocattach --stop NAME`."""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from ocattach.cli.main import main
from ocattach.cli.registry import COMMANDS, GROUPS, load
from ocattach.cli.verbs import ALIASES, VERBS
from ocattach.config.last_used import record_use
from ocattach.config.names import RESERVED

COLUMNS, MOST_LINES = 80, 40


@dataclass(frozen=True)
class Ran:
    """What a command line printed, and its exit code."""

    exit_code: object
    stdout: str
    stderr: str


Run = Callable[..., Ran]


@pytest.fixture
def run(workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs command lines of somebody with two containers of an engine that does not run, in this process."""
    monkeypatch.chdir(workdir)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setenv("HOME", str(workdir))
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{workdir}/none.sock")
    for name in ("CONFIG", "STATE", "RUNTIME"):
        monkeypatch.setenv(f"OCATTACH_{name}_DIR", str(workdir / name.lower()))
    saved = workdir / "config/connections"
    saved.mkdir(parents=True)
    for name in ("frontend", "backend"):
        (saved / f"{name}.yaml").write_text(f"{{transport: docker, container: {name}}}")

    def ran(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ran(ended.value.code, *capsys.readouterr())

    return ran


def test_no_connection_can_have_the_name_of_a_verb() -> None:
    assert {*VERBS, *ALIASES, "help", "version"} <= RESERVED


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        ("list", "--list"),
        ("ls", "--list"),
        ("status", "--status"),
        ("status frontend -o json", "--status frontend -o json"),
        ("save --workdir /app third docker://third", "--save third docker://third --workdir /app --force"),
        ("remove nothing", "--remove nothing"),
        ("rm nothing", "--remove nothing"),
        ("disconnect frontend", "--disconnect frontend"),
        ("disconnect --all", "--disconnect --all"),
        ("stop frontend --timeout 3", "--stop frontend --timeout 3"),
        ("attach frontend", "frontend"),
        ("attach frontend -- --model x", "frontend -- --model x"),
        ("version", "--version"),
        ("help", "--help"),
        ("help session list", "session list --help"),
        ("session ls --offline", "session list --offline"),
    ],
)
def test_a_verb_does_what_the_option_does(run: Run, verb: str, option: str) -> None:
    by_verb, by_option = (run(*line.split()) for line in (verb, option))

    assert (by_verb.exit_code, by_verb.stderr) == (by_option.exit_code, by_option.stderr)
    if "json" not in verb:  # it has the time it took
        assert by_verb.stdout == by_option.stdout


def test_several_links_are_closed_at_once(run: Run) -> None:
    ran = run("disconnect", "frontend", "backend", "frontend")

    assert ran.stderr == "frontend was not connected\nbackend was not connected\n"


def test_what_was_done_is_reported_although_the_next_fails_by_its_own_name(run: Run) -> None:
    ran = run("disconnect", "frontend", "nowhere", "backend")

    assert ran.exit_code == 3
    assert ran.stderr.startswith("frontend was not connected\nocattach: No connection named nowhere\n")


@pytest.mark.parametrize("arguments", [("save",), ("rm",)])
def test_a_verb_without_its_arguments_names_them(run: Run, arguments: tuple[str]) -> None:
    ran = run(*arguments)

    assert ran.exit_code == 2
    assert "requires NAME" in ran.stderr


def test_a_dash_is_the_connection_that_was_used_last(run: Run, workdir: Path) -> None:
    assert "No connection has been used yet" in run("-").stderr
    for name in ("frontend", "backend"):
        record_use(name, workdir / "state")
    os.utime(workdir / "state/used/backend", (1, 1))

    assert run("disconnect", "-").stderr == "frontend was not connected\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tester@main", "ocattach ssh://tester@main"),
        ("main:/srv", "ocattach ssh://main:/srv"),
        ("docker:frontend-app", "ocattach docker://frontend-app"),
        ("k8s:/deployment/api", "ocattach k8s://deployment/api"),
        (".", "ocattach local://{cwd}"),
        ("./a b", "ocattach local://{cwd}/a%20b"),
    ],
)
def test_what_is_nearly_a_uri_is_shown_as_one(run: Run, workdir: Path, typed: str, meant: str) -> None:
    ran = run(typed)

    assert ran.exit_code == 2
    assert f"Did you mean: {meant.format(cwd=workdir.resolve())}\n" in ran.stderr


@pytest.mark.parametrize("typed", ["a;b", "$(x)@h", "docker:x;y", "docker:", "-@", "main:/a\nb", "@", "::"])
def test_what_cannot_be_one_is_not(run: Run, typed: str) -> None:
    ran = run("--", typed) if typed.startswith("-") else run(typed)

    assert ran.exit_code == 2
    assert "Did you mean" not in ran.stderr


def test_the_help_fits_a_screen_and_each_verb_has_its_own(run: Run) -> None:
    lines = run("--help").stdout.splitlines()

    assert len(lines) <= MOST_LINES
    assert all(len(line) <= COLUMNS for line in lines)
    for verb in VERBS:
        (own,) = [line for line in lines if line.startswith(f"  {verb} ")]
        text = run("help", verb).stdout
        assert text.splitlines()[0] == own.split(maxsplit=1)[1]
        assert text == run(verb, "--help").stdout
        assert f"Usage: ocattach {verb}" in text


def test_a_renamed_connection_keeps_its_file_and_when_it_was_used(run: Run, workdir: Path) -> None:
    record_use("frontend", workdir / "state")
    text = (workdir / "config/connections/frontend.yaml").read_text()

    ran = run("rename", "frontend", "shop")

    assert (ran.exit_code, ran.stderr) == (0, "Renamed frontend to shop\n")
    assert (workdir / "config/connections/shop.yaml").read_text() == text
    assert not (workdir / "config/connections/frontend.yaml").exists()
    assert run("disconnect", "-").stderr == "shop was not connected\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("frontend", "backend", "backend exists already"),
        ("frontend", "frontend", "frontend has that name already"),
        ("frontend", "status", "reserved"),
        ("frontend", "../x", "Invalid connection name"),
        ("fronted", "shop", "Did you mean frontend?"),
    ],
)
def test_a_name_that_cannot_be_given_changes_nothing(
    run: Run, workdir: Path, old: str, new: str, said: str
) -> None:
    ran = run("rename", old, new)

    assert ran.exit_code in {2, 3}
    assert said in ran.stderr
    assert {path.name for path in (workdir / "config/connections").glob("*.yaml")} == {
        "frontend.yaml",
        "backend.yaml",
    }


def test_names_alone_are_for_scripts_and_a_wide_table_has_the_descriptions(run: Run, workdir: Path) -> None:
    saved = workdir / "config/connections/backend.yaml"
    saved.write_text("{transport: docker, container: backend, description: the shop}")

    assert run("--list", "-o", "name").stdout == "backend\nfrontend\n"
    assert run("status", "-o", "name").stdout == "backend\nfrontend\n"
    assert "the shop" in run("ls", "-o", "wide").stdout
    assert "the shop" not in run("ls").stdout
    assert "Reason" in run("status", "-o", "wide").stdout.splitlines()[0]
    assert run("frontend", "-o", "wide").exit_code == 2


def test_the_default_is_listed_and_explained_and_goes_with_its_connection(run: Run) -> None:
    assert run("--default", "frontend").stderr == "The default is frontend now\n"
    assert "user, default" in run("--list").stdout.splitlines()[2]
    assert "config/config.yaml" in run("explain", "frontend").stdout
    assert json.loads(run("explain", "backend", "-o", "json").stdout)["default"] is False

    run("rename", "frontend", "shop")
    listed = json.loads(run("--list", "-o", "json").stdout)["connections"]
    assert {each["name"]: each["default"] for each in listed} == {"backend": False, "shop": True}

    assert run("--remove", "shop").stderr == "Removed shop, which was the default\n"
    assert run("--default", "").stderr == "The default is unset\n"


@pytest.mark.parametrize("option", [("--list",), ("--remove", "frontend"), ("--default", "frontend")])
def test_what_takes_no_further_name_refuses_one(run: Run, option: tuple[str, ...]) -> None:
    ran = run(*option, "backend")

    assert ran.exit_code == 2
    assert "Unexpected argument 'backend'" in ran.stderr
    assert "frontend" in run("--list").stdout


def test_a_default_that_cannot_be_used_is_listed_as_a_problem(run: Run, workdir: Path) -> None:
    (workdir / "config/config.yaml").write_text("default: nowhere\n")

    ran = run("--list")

    assert ran.exit_code == 0
    assert "default: no saved connection named nowhere" in ran.stderr


def commands_with_names() -> Iterator[tuple[str, ...]]:
    """A command line for each command that takes the name of a connection, with a dash in its place."""
    commands: dict[tuple[str, ...], click.Command | None] = {
        (name,): load(name) for name in COMMANDS if name not in GROUPS
    }
    group = load("session")
    context = click.Context(group)
    assert isinstance(group, click.Group)
    commands |= {("session", name): group.get_command(context, name) for name in group.list_commands(context)}
    for words, command in commands.items():
        assert command is not None
        arguments = [each for each in command.params if isinstance(each, click.Argument)]
        if any(re.search("NAME|OLD", each.metavar or "") for each in arguments):
            yield *words, *("-" if re.search("NAME|OLD", each.metavar or "") else "1" for each in arguments)


@pytest.mark.parametrize("words", list(commands_with_names()), ids=" ".join)
def test_each_command_that_takes_a_name_takes_a_dash(run: Run, words: tuple[str, ...]) -> None:
    ran = run(*words)

    assert ran.exit_code == 3
    assert "No connection has been used yet" in ran.stderr


def test_a_dash_is_this_machine_if_that_was_used_last(run: Run, workdir: Path) -> None:
    record_use("frontend", workdir / "state")
    os.utime(workdir / "state/used/frontend", (1, 1))
    record_use("local", workdir / "state")

    assert "local" in run("explain", "-").stdout.splitlines()[0]
    assert run("--default", "-").stderr == "The default is local now\n"


@pytest.mark.parametrize("words", [("rm", "-"), ("--remove", "-"), ("save", "-", "docker://web", "--force")])
def test_nothing_is_removed_or_replaced_by_a_dash(run: Run, workdir: Path, words: tuple[str, ...]) -> None:
    record_use("frontend", workdir / "state")

    assert run(*words).exit_code == 2
    assert "docker://frontend" in run("--list").stdout
