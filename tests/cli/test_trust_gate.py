"""No command uses a project's definition that its user has not approved: it connects to nothing, and runs nothing."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ocattach.cli.main import command, main
from ocattach.cli.registry import COMMANDS, GROUPS
from ocattach.cli.session import COMMANDS as SESSION_COMMANDS
from ocattach.config.files.paths import state_directory
from ocattach.config.spec import environment_id
from ocattach.errors import NotTrustedError
from ocattach.sessions.index import index_file
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import everywhere
from tests.cli.onlooker import Onlooker

NAME = "{name}"
SESSION = "ses_6b8a2f0d1ffeZ9xQ2vW7yTnK4r"
REFUSED = NotTrustedError.exit_code

WITH_NAME: Mapping[str, Sequence[tuple[str, ...]]] = {
    "": [(NAME, "--print-url"), (NAME, "--no-start", "--print-url"), (NAME, "--session", SESSION), (NAME,)],
    "--disconnect": [(NAME, "--disconnect")],
    "--stop": [(NAME, "--stop"), (NAME, "--stop", "--force")],
    "doctor": [("doctor", NAME)],
    "events": [("events", NAME)],
    "exec": [("exec", NAME, "--", "ls"), ("exec", NAME, "--workdir", "/app", "--", "ls")],
    "shell": [("shell", NAME)],
    "env": [("env", NAME)],
    "forward": [("forward", NAME, "3000")],
    "ports": [("ports", NAME)],
    "wait": [("wait", NAME)],
    "web": [("web", NAME), ("web", NAME, "--print"), ("web", NAME, "--revoke")],
    "logs": [("logs", NAME), ("logs", NAME, "-f")],
    "session waiting": [("session", "waiting", NAME), ("session", "permissions", NAME)],
    "session send": [("session", "send", NAME, "hello"), ("session", "send", NAME, "hello", "--wait")],
    "session import": [("session", "import", NAME, "session.json")],
}
"""Commands that use the connection NAME: each is refused."""

WITHOUT_USE: Mapping[str, Sequence[tuple[str, ...]]] = {
    "--save": [("--save", "mine", NAME), ("--save", "mine", "docker://other")],
    "--list": [("--list",)],
    "--status": [("--status",), ("--status", NAME), ("--status", "-o", "json")],
    "--remove": [("--remove", NAME)],
    "--default": [("--default", NAME), ("--default", "")],
    "--disconnect": [("--disconnect", "--all")],
    "--schema": [("--schema",)],
    "--version": [("--version",)],
    "--help": [("--help",)],
    "": [()],
    "completion": [("completion", "bash")],
    "rename": [("rename", NAME, "mine"), ("rename", "nothing", "mine")],
    "doctor": [("doctor",)],
    "explain": [("explain", NAME)],
    "wait": [("wait", SESSION)],
    "trust": [("trust",), ("trust", "--list", NAME), ("trust", "--revoke", NAME)],
    "session list": [("session", "list"), ("session", "list", "--origin", NAME)],
    "session show": [("session", "show", SESSION)],
    "session open": [("session", "open", SESSION)],
    "session send": [("session", "send", SESSION, "hello")],
    "session abort": [("session", "abort", SESSION)],
    "session waiting": [("session", "waiting"), ("session", "permissions")],
    "session reply": [("session", "reply", "per_6b8a2f0d1ffeZ9xQ2vW7yTnK4r", "once")],
    "session answer": [("session", "answer", "que_6b8a2f0d1ffeZ9xQ2vW7yTnK4r", "yes")],
    "session export": [("session", "export", SESSION)],
    "session delete": [("session", "delete", SESSION, "--yes")],
    "session stats": [("session", "stats"), ("session", "stats", "--origin", NAME)],
}
"""Commands that ask no environment, or all that may be asked."""

MODIFIERS = {
    *("all_", "container", "context", "continue_", "force", "fork", "identity", "namespace", "no_start"),
    *("output", "port", "print_url", "quiet", "session", "short", "timeout", "trust", "user"),
    *("targets", "verbose", "watch", "workdir"),
}
"""What only changes how another option or the main command does its work. `--trust` approves; --watch is below."""

FORMS = [
    (form, refused)
    for table, refused in ((WITH_NAME, True), (WITHOUT_USE, False))
    for forms in table.values()
    for form in forms
]


@pytest.fixture
def project(onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Mapping[str, Any]]:
    """One definition for each transport that can be recorded, none of them approved; we are in the project."""
    entries = {
        "team-docker": {"transport": "docker", "container": "app"},
        "team-http": {"transport": "http", "url": f"http://127.0.0.1:{onlooker.port}"},
        "team-k8s": {"transport": "k8s", "pod": "app"},
        "team-podman": {"transport": "podman", "container": "app"},
        "team-ssh": {"transport": "ssh", "host": "127.0.0.1", "port": onlooker.port},
    }
    onlooker.define_all(entries)
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in onlooker.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(onlooker.directory / "run"))
    monkeypatch.chdir(onlooker.directory / "project")
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    return entries


def run(*arguments: str) -> int:
    """The exit code of a command in this process."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_every_command_and_option_is_in_the_tables() -> None:
    options = {
        f"--{str(parameter.name).strip('_')}"
        for parameter in command.params
        if parameter.name not in MODIFIERS
    }
    commands = {*COMMANDS} - GROUPS | {f"session {name}" for name in SESSION_COMMANDS}

    assert GROUPS == {"session"}
    assert {*WITH_NAME, *WITHOUT_USE} - {"", "--help"} == {*options, *commands}


@pytest.mark.parametrize(("form", "refused"), FORMS, ids=[" ".join(form) or "nothing" for form, _ in FORMS])
def test_no_command_uses_what_is_not_approved(
    onlooker: Onlooker, project: Mapping[str, Any], form: tuple[str, ...], refused: bool
) -> None:
    names = project if NAME in form else ["no name"]
    for name in names:
        code = run(*(word.format(name=name) for word in form))

        assert onlooker.connections() == 0, name
        assert onlooker.programs() <= {"sh", "opencode"}, "those of this machine, which is no project's"
        assert (code == REFUSED) == refused
        assert not list(onlooker.directory.rglob("trust.json"))


BY_ID: Sequence[tuple[str, ...]] = [
    ("session", "show", SESSION),
    ("session", "open", SESSION, "--print-url"),
    ("session", "send", SESSION, "hello"),
    ("session", "send", SESSION, "hello", "--wait"),
    ("session", "abort", SESSION),
    ("session", "export", SESSION),
    ("session", "delete", SESSION, "--yes"),
]
"""Commands that use the environment of a session in the index; `show` then shows what the index has."""


def remember(name: str) -> None:
    """Store in the index that the session is one of this connection's environment."""
    places = everywhere(cwd=Path.cwd(), environ=os.environ)
    (spec,) = (each for each in places.specs if each.name == name)
    environment = environment_id(spec, os.environ)
    session = Session(id=SESSION, environment=environment, directory="/app")
    with Index(index_file(state_directory(os.environ))) as index:
        index.put([session], environment, 1.0, uri=spec.display(), place=spec.place_id(os.environ))


@pytest.mark.parametrize("form", BY_ID, ids=" ".join)
@pytest.mark.parametrize("transport", ["docker", "http", "k8s", "podman", "ssh"])
@pytest.mark.parametrize("change", ["revoked", "changed", "never approved"])
def test_no_command_uses_it_by_the_id_of_a_session_that_is_known_from_before(
    onlooker: Onlooker,
    project: Mapping[str, Mapping[str, Any]],
    form: tuple[str, ...],
    transport: str,
    change: str,
) -> None:
    name = f"team-{transport}"
    if change != "never approved":
        run("trust", name)
    remember(name)
    if change == "revoked":
        run("trust", "--revoke", name)
    if change == "changed":
        onlooker.define_all({**project, name: {**project[name], "description": "changed since"}})

    code = run(*form)

    assert onlooker.connections() == 0
    assert onlooker.programs() <= {"sh", "opencode"}
    assert code == (0 if form[1] == "show" else REFUSED)


@pytest.mark.usefixtures("project")
def test_status_that_goes_on_does_not_either(onlooker: Onlooker) -> None:
    argv = [sys.executable, "-m", "ocattach", "--status", "--watch", "-o", "json"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, env=onlooker.variables, cwd=onlooker.directory / "project"
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.terminate()

    assert first
    assert onlooker.connections() == 0


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("words", ["ocattach ", "ocattach team", "ocattach session show ", "ocattach logs "])
def test_completion_does_not_either(onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("_OCATTACH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - (not words.endswith(" "))))

    assert run() == 0
    onlooker.assert_untouched()


@pytest.mark.parametrize("transport", ["docker", "http", "k8s", "podman", "ssh"])
def test_what_is_approved_is_used_by_the_same_commands(
    onlooker: Onlooker, project: Mapping[str, Any], transport: str
) -> None:
    assert f"team-{transport}" in project
    run("trust", f"team-{transport}")
    assert not onlooker.connections()

    run("--status", f"team-{transport}", "--timeout", "5")

    assert onlooker.connections() or onlooker.programs() & {"ssh", "plugin"}
