"""What commands say where there is nothing, or where what was typed cannot be meant."""

from pathlib import Path

import pytest

from ocattach.cli.commands.events import copilot_hook, is_wanted
from ocattach.cli.commands.exec import exec as exec_command
from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.command import CommandTransport
from tests.cli.test_verbs import Run, run
from tests.environments.environment import ask_nobody

__all__ = ["run"]


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("web ls -l", ["ls", "-l"]),
        ("web --user root echo --user x", ["echo", "--user", "x"]),
        ("--workdir /tmp web git log -p", ["git", "log", "-p"]),
        ("web --timeout=5 echo a -- b", ["echo", "a", "--", "b"]),
        ("web --user root -- echo --user x", ["echo", "--user", "x"]),
        ("- sh -c x", ["sh", "-c", "x"]),
        ("web -- -x", ["-x"]),
        ("--user web web id", ["id"]),
    ],
)
def test_options_of_a_command_there_are_its_own(
    monkeypatch: pytest.MonkeyPatch, typed: str, command: list[str]
) -> None:
    ran = []
    monkeypatch.setattr(
        "ocattach.cli.commands.exec.run_there", lambda words, *_: ran.append(list(words or ()))
    )
    monkeypatch.setattr("ocattach.cli.target.last_named", lambda name: name)

    exec_command.main(typed.split(), standalone_mode=False)

    assert ran == [command]


def test_an_option_that_is_not_ours_before_the_command_is_refused(run: Run) -> None:
    assert "No such option '-t'" in run("exec", "-t", "frontend", "sh").stderr


@pytest.mark.parametrize("port", ["0", "65536", "x", "80-90", "1:2:3"])
def test_a_port_that_is_none_leads_to_those_there_are(run: Run, port: str) -> None:
    assert "from 1 to 65535" in run("forward", "frontend", port).stderr


def test_one_local_port_is_not_forwarded_to_two(run: Run) -> None:
    ran = run("forward", "frontend", "4500:80", "4500:81")

    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "Port 4500 of this machine can lead to one port only" in ran.stderr


@pytest.mark.parametrize(
    "words", [("list", "--search", "zzz"), ("list", "--since", "1h"), ("stats", "--since", "1h")]
)
def test_where_nothing_matches_nobody_is_told_to_begin(run: Run, words: tuple[str, ...]) -> None:
    said = run("session", *words, "--offline").stderr

    assert said.startswith("No sessions match")
    assert "session send" not in said


@pytest.mark.parametrize("command", ["list", "stats"])
def test_a_mistyped_origin_leads_to_the_name_in_every_command(run: Run, command: str) -> None:
    assert "Did you mean frontend?" in run("session", command, "--origin", "fronted", "--offline").stderr


def test_a_file_that_cannot_be_sent_is_no_mistake_in_the_settings(run: Run, workdir: Path) -> None:
    for path in (workdir, workdir / "none"):
        ran = run("session", "send", "frontend", "x", "--file", str(path))

        assert "Name a regular file of this machine" in ran.stderr


def test_an_empty_document_is_said_to_be_empty_before_anything_is_connected(run: Run, workdir: Path) -> None:
    (workdir / "empty").touch()

    said = run("session", "import", "frontend", str(workdir / "empty")).stderr

    assert said.endswith("ocattach: The document is empty\n  Export a session: ocattach session export ID\n")


def test_a_connection_cannot_be_renamed_to_itself_and_is_not_to_be_removed(run: Run) -> None:
    assert "--remove" not in run("rename", "frontend", "frontend").stderr


@pytest.mark.parametrize(
    ("uri", "where"),
    [("docker://web", "in container web"), ("ssh://main", "on host main"), ("local://", "on this machine")],
)
def test_a_place_has_the_preposition_of_its_kind(uri: str, where: str) -> None:
    spec = ConnectionSpec.from_uri(uri, Path("/"))
    handler = open_handler(spec, ask=ask_nobody, timeout=1)
    assert isinstance(handler, CommandTransport)

    assert handler.where == where


def test_events_of_a_session_have_the_gaps_in_them() -> None:
    of_one, of_another = ({"event": "answer", "session": session} for session in ("ses_1", "ses_2"))
    gap = {"event": "gap", "reason": "lost"}

    assert [is_wanted(event, "ses_1", ()) for event in (of_one, of_another, gap)] == [True, False, True]
    assert [is_wanted(event, None, ("answer",)) for event in (of_one, of_another, gap)] == [True, True, False]


@pytest.mark.parametrize(
    "words", [("events", "--session", "nope"), ("frontend", "--print-url", "--session", "nope")]
)
def test_what_is_no_id_of_a_session_is_refused_before_anything_is_asked(
    run: Run, words: tuple[str, ...]
) -> None:
    ran = run(*words)

    assert ran.exit_code == 2
    assert ran.stderr.startswith("ocattach: 'nope' is not a session id")


def test_an_event_has_the_names_of_copilots_hooks_or_none() -> None:
    head = {"time": "2026-11-29T12:00:00.123Z", "session": "ses_1", "cwd": "/app"}
    ended = {"tool": "bash", "input": {}, "output": "x", "stdout": "x", "exit_code": 7, "is_error": False}

    hook = copilot_hook({"event": "tool-end", **head, **ended})
    deleted = copilot_hook({"event": "session-end", **head, "reason": "deleted"})

    assert hook is not None
    assert (hook["hook"], hook["sessionId"], hook["cwd"], hook["toolName"]) == (
        "postToolUse",
        "ses_1",
        "/app",
        "bash",
    )
    assert hook["toolResult"] == {
        "exitCode": 7,
        "exit_code": 7,
        "stdout": "x",
        "output": "x",
        "isError": False,
    }
    assert deleted is not None
    assert (deleted["hook"], deleted["reason"]) == ("sessionEnd", "deleted")
    assert copilot_hook({"event": "gap", "time": "x", "reason": "lost"}) is None
    assert copilot_hook({"event": "answer", **head, "text": "x"}) is None
