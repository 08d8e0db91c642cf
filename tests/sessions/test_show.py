"""`ocattach session show`: all that is known of a session, by its id alone."""

from collections.abc import Callable, Iterator

import pytest

from tests.environments import Environment
from tests.main_job.conftest import laptop as laptop_of_its_own
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import Daemon, Laptop, Ran
from tests.rigs.waiting import wait_until
from tests.sessions.workshop import ASK_FOR_BASH

__all__ = ["laptop_of_its_own"]

local = pytest.mark.parametrize("shared_environment", ["local"], indirect=True)


@pytest.fixture(scope="module")
def shared_laptop(shared_environment: Environment) -> Iterator[Laptop]:
    with new_laptop(shared_environment) as laptop:
        yield laptop


@pytest.fixture(scope="module")
def daemon(shared_laptop: Laptop) -> Daemon:
    return shared_laptop.connect()


def make(daemon: Daemon, text: str, **more: object) -> str:
    """A session that is asked something, and not waited for."""
    where = daemon.document["workdir"]
    _, session = daemon.request("POST", f"/session?directory={where}", {"title": text, **more})
    body = {"parts": [{"type": "text", "text": text}]}
    daemon.request("POST", f"/session/{session['id']}/prompt_async", body)
    return str(session["id"])


def found(laptop: Laptop, session: str, code: str) -> dict[str, str]:
    """A finding of the diagnosis, once it is there."""

    def look() -> dict[str, str] | None:
        told = laptop.run("session", "show", session, "-o", "json").document
        return next((each for each in told["diagnosis"] if each["code"] == code), None)

    return wait_until(look, f"{session} to be found {code}", interval=0.2)


@local
def test_it_tells_where_a_session_lives_and_what_it_has_cost(shared_laptop: Laptop, daemon: Daemon) -> None:
    sent = shared_laptop.run("session", "send", "frontend", "hello", "--wait", "-o", "json").document
    session = sent["session"]["id"]

    ran = shared_laptop.run("session", "show", session, "--messages", "1")
    told = shared_laptop.run("session", "show", session, "--messages", "2", "-o", "json").document

    assert ran.exit_code == 0
    rows = {line[:11].strip(): line[12:] for line in ran.stdout.splitlines()}
    assert rows["Origin"] == "frontend"
    assert rows["Directory"] == shared_laptop.environment.workdir
    assert rows["State"] == "idle"
    assert rows["Messages"] == "2, 1 of them prompts"
    assert rows["Models"] == "fake/fake-1 (once)"
    assert "3 output" in rows["Tokens"]
    assert rows["Cost"] == f"${sent['cost']:.4f}"
    assert ran.stdout.endswith("  You said: hello\n")
    assert (told["schema"], told["live"], told["state"], told["diagnosis"]) == (1, True, "idle", [])
    assert (told["session"]["id"], told["session"]["origin"]) == (session, "frontend")
    assert told["session"]["directory"] == shared_laptop.environment.workdir
    assert told["messages"] == {"count": 2, "complete": True}
    assert (told["models"], told["tokens"]["output"]) == ({"fake/fake-1": 1}, 3)
    assert told["cost"] == sent["cost"]
    assert [(each["role"], each["text"]) for each in told["last"]] == [
        ("user", "hello"),
        ("assistant", "You said: hello"),
    ]
    _, content = daemon.request("GET", f"/session/{session}")
    assert told["session"]["title"] == content["title"]


@local
def test_what_waits_for_a_person_is_told_with_the_command_that_answers_it(
    shared_laptop: Laptop, daemon: Daemon
) -> None:
    session = make(daemon, "!bash echo allowed", permission=ASK_FOR_BASH)
    finding = found(shared_laptop, session, "waiting-for-permission")
    ran = shared_laptop.run("session", "show", session)
    replied = shared_laptop.run(*finding["hint"].split()[1:])

    assert ran.exit_code == 0
    assert "waiting for a permission" in ran.stdout
    assert f"! The session waits for a permission: bash: echo allowed\n  {finding['hint']}\n" in ran.stdout
    assert replied.exit_code == 0, replied.stderr
    wait_until(
        lambda: (
            "tool said: allowed" in shared_laptop.run("session", "show", session, "--messages", "1").stdout
        ),
        "the tool to be run",
    )


@local
def test_a_request_that_is_made_again_is_told_with_its_time(shared_laptop: Laptop, daemon: Daemon) -> None:
    def once(shown: Callable[[Ran], object], *options: str) -> Ran:
        """What is shown between two attempts: during one, the session is merely busy."""

        def look() -> Ran | None:
            ran = shared_laptop.run("session", "show", session, *options)
            return ran if shown(ran) else None

        return wait_until(look, f"the retry of {session} to be shown", interval=0.2)

    session = make(daemon, "!error 500")
    once(lambda ran: "retrying: attempt " in ran.stdout)
    told = once(lambda ran: ran.document["retry"], "-o", "json").document
    daemon.request("POST", f"/session/{session}/abort")

    assert (told["state"], told["retry"]["message"]) == ("retrying", "scripted error 500")
    assert told["retry"]["attempt"] >= 1
    assert told["retry"]["next"] > told["session"]["created"]


@local
def test_nothing_that_was_said_there_drives_the_terminal(shared_laptop: Laptop, daemon: Daemon) -> None:
    session = make(daemon, "\x1b]0;owned\x07\tand \x1b[31mred")
    wait_until(
        lambda: "You said" in shared_laptop.run("session", "show", session, "--messages", "1").stdout, "it"
    )

    ran = shared_laptop.run("session", "show", session, "--messages", "9")

    assert "\\x1b]0;owned\\x07\tand" in ran.stdout
    assert not any(character < " " and character not in "\n\t" for character in ran.stdout)


@local
@pytest.mark.parametrize(
    ("session", "code", "words"),
    [("ses_nobody", 3, "ses_nobody was not found"), ("nobody", 2, "is not a session id")],
)
def test_a_session_that_is_nowhere_is_an_error(
    shared_laptop: Laptop, daemon: Daemon, session: str, code: int, words: str
) -> None:
    assert daemon.document
    ran = shared_laptop.run("session", "show", session)

    assert (ran.exit_code, ran.stdout) == (code, "")
    assert words in ran.stderr


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_a_proxy_of_the_daemon_is_named_and_what_was_known_when_it_does_not_run(
    environment: Environment, laptop_of_its_own: Laptop
) -> None:
    laptop = laptop_of_its_own
    model = f"http://me:proxy-secret@127.0.0.1:{environment.model.port}/"
    laptop.save(env={"HTTP_PROXY": model, "ANOTHER": "other-secret"})
    sent = laptop.run("session", "send", "frontend", "!mute", "--wait", "-o", "json")
    session = sent.document["session"]["id"]

    finding = found(laptop, session, "no-output")
    ran = laptop.run("session", "show", session)

    assert (sent.exit_code, sent.document["error"]["code"]) == (1, "run-failed")
    assert f"HTTP_PROXY=http://127.0.0.1:{environment.model.port}." in finding["hint"]
    assert finding["hint"] in ran.stdout
    assert "secret" not in ran.stdout + ran.stderr

    laptop.run("session", "list")
    laptop.run("--stop", "frontend")
    later = laptop.run("session", "show", session)
    as_json = laptop.run("session", "show", session, "-o", "json")

    assert (later.exit_code, as_json.exit_code) == (0, 0), later.stderr
    assert "shown is what was last known" in later.stderr
    assert environment.workdir in later.stdout
    assert as_json.document["live"] is False
    assert as_json.document["reason"]["code"] == "daemon-not-running"
    environment.wait_until_nothing_runs()
