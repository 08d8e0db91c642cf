"""`ocattach session send` on a daemon of this machine: what is sent, what is printed, and how it ends."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import OCATTACH, Daemon, Laptop
from tests.model.server import asked_for
from tests.rigs.waiting import wait_until
from tests.sessions.printing import rest_of
from tests.sessions.workshop import ASK_FOR_BASH

pytestmark = pytest.mark.parametrize("shared_environment", ["local"], indirect=True)


@pytest.fixture(scope="module")
def laptop(shared_environment: Environment) -> Iterator[Laptop]:
    """One laptop for all, whose daemon runs from the first prompt on."""
    with new_laptop(shared_environment) as laptop:
        yield laptop


@pytest.fixture
def daemon(laptop: Laptop) -> Daemon:
    """What curl would speak to; its link may have ended in the test before."""
    return laptop.connect()


def messages_of(daemon: Daemon, session: str) -> list[dict[str, Any]]:
    _, messages = daemon.request("GET", f"/session/{session}/message")
    assert isinstance(messages, list)
    return messages


def await_answer(daemon: Daemon, session: str) -> None:
    """Wait until the last prompt is answered."""
    wait_until(
        lambda: messages_of(daemon, session)[-1:] and messages_of(daemon, session)[-1]["info"].get("finish"),
        "the answer",
    )


def busy_sessions(laptop: Laptop, daemon: Daemon) -> list[str]:
    """The sessions that work."""
    _, statuses = daemon.request("GET", f"/session/status?directory={laptop.environment.workdir}")
    return list(statuses)


def send(laptop: Laptop, *arguments: str) -> str:
    """Send without waiting; the session."""
    ran = laptop.run("session", "send", *arguments)
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout.strip()


def asking_session(laptop: Laptop, daemon: Daemon) -> str:
    """A session that asks before it runs a command."""
    where = laptop.environment.workdir
    _, session = daemon.request("POST", f"/session?directory={where}", {"permission": ASK_FOR_BASH})
    return str(session["id"])


def test_without_wait_the_id_is_printed_and_the_run_goes_on(laptop: Laptop, daemon: Daemon) -> None:
    ran = laptop.run("session", "send", "frontend", "hello there")
    session = ran.stdout.strip()

    assert (ran.exit_code, session[:4]) == (0, "ses_"), ran.stderr
    await_answer(daemon, session)
    _, content = daemon.request("GET", f"/session/{session}")
    assert content["directory"] == laptop.environment.workdir
    assert content["metadata"]["origin"] == "frontend"
    assert len(content["metadata"]["environment"]) == 16
    assert asked_for(laptop.environment.model.requests, "hello there") == 1


def test_with_wait_the_answer_is_on_stdout_and_all_else_on_stderr(laptop: Laptop) -> None:
    ran = laptop.run("session", "send", "frontend", "hello again", "--wait")

    assert (ran.exit_code, ran.stdout) == (0, "You said: hello again\n"), ran.stderr
    assert "✓ Sent to ses_" in ran.stderr


def test_an_id_continues_the_session_and_a_document_tells_all(laptop: Laptop, daemon: Daemon) -> None:
    session = send(laptop, "frontend", "the first")
    await_answer(daemon, session)

    ran = laptop.run("session", "send", session, "the second", "--wait", "-o", "json")
    told = ran.document

    assert ran.exit_code == 0
    assert (told["schema"], told["error"], told["session"]["id"]) == (1, None, session)
    assert told["text"] == "You said: the second"
    assert (told["model"], told["agent"], told["finish"]) == ("fake/fake-1", "build", "stop")
    assert told["tokens"]["output"] == 4
    assert told["cost"] > 0
    assert [message["info"]["role"] for message in messages_of(daemon, session)] == 2 * ["user", "assistant"]


def test_a_prompt_comes_from_standard_input_and_goes_to_the_model_and_agent_named(
    laptop: Laptop,
) -> None:
    more = ["--model", "fake/fake-2", "--agent", "plan", "--wait", "-o", "json"]
    with subprocess.Popen(
        [*OCATTACH, "session", "send", "frontend", "-", *more],
        env=laptop.variables,
        cwd=laptop.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        stdout, _ = process.communicate("two\nlines\n", timeout=60)
    told = json.loads(stdout)

    assert (process.returncode, told["model"], told["agent"]) == (0, "fake/fake-2", "plan")
    assert "two\nlines" in told["text"]


def test_words_come_while_the_model_goes_on_and_each_once(laptop: Laptop, daemon: Daemon) -> None:
    session = send(laptop, "frontend", "hello")
    with laptop.start("session", "send", session, "!slow 60", "--wait") as process:
        assert process.stdout
        first = process.stdout.read(14)
        at_work = busy_sessions(laptop, daemon)
        daemon.request("POST", f"/session/{session}/abort")
        rest, stderr = rest_of(process)

    assert first == "w0 w1 w2 w3 w4"
    words = (first + rest).split()
    assert words == [f"w{number}" for number in range(len(words))]
    assert session in at_work
    assert process.returncode == 1
    assert "The run was aborted" in stderr


def test_tools_and_several_answers_are_one_run(laptop: Laptop) -> None:
    ran = laptop.run("session", "send", "frontend", "!bash echo from-the-shell", "--wait", "-o", "json")

    assert ran.document["tools"] == ["bash"]
    assert ran.document["text"] == "tool said: from-the-shell"


def test_an_error_of_the_provider_is_that_of_the_command(laptop: Laptop) -> None:
    ran = laptop.run("session", "send", "frontend", "!error 401", "--wait")
    as_json = laptop.run("session", "send", "frontend", "!error 401", "--wait", "-o", "json")

    assert ran.exit_code == as_json.exit_code == 1
    assert "The provider returned an error: scripted error 401 (status 401)" in ran.stderr
    assert "ocattach session show ses_" in ran.stderr
    assert as_json.document["error"]["code"] == "run-failed"
    assert as_json.document["session"]["id"].startswith("ses_")


def test_a_run_that_waits_to_be_allowed_says_by_which_command(laptop: Laptop, daemon: Daemon) -> None:
    session = asking_session(laptop, daemon)
    with laptop.start("session", "send", session, "!bash echo allowed", "--wait") as process:
        assert process.stderr
        command = next(line for line in process.stderr if "session reply" in line)
        permission = command.split()[3]
        daemon.request("POST", f"/session/{session}/permissions/{permission}", {"response": "once"})
        stdout, _ = rest_of(process)

    assert command.strip() == f"ocattach session reply {permission} once"
    assert (process.returncode, stdout) == (0, "tool said: allowed\n")


def test_a_run_of_which_no_end_comes_in_time_goes_on(laptop: Laptop, daemon: Daemon) -> None:
    session = asking_session(laptop, daemon)
    send(laptop, session, "!bash echo late")
    where = f"/permission?directory={laptop.environment.workdir}"
    wait_until(lambda: daemon.request("GET", where)[1], "it to wait")

    ran = laptop.run("session", "send", session, "and then", "--wait", "--timeout", "3")
    at_work = busy_sessions(laptop, daemon)
    daemon.request("POST", f"/session/{session}/abort")

    assert ran.exit_code == 8, ran.stderr
    assert "session reply per_" in ran.stderr
    assert session in at_work


def test_an_answer_goes_on_over_another_link_when_its_own_has_ended(laptop: Laptop) -> None:
    with laptop.start("session", "send", "frontend", "!slow 4", "--wait") as process:
        assert process.stdout
        first = process.stdout.read(5)
        for link in laptop.links():
            link.kill()
        rest, stderr = rest_of(process)

    assert first + rest == " ".join(f"w{number}" for number in range(20)) + "\n"
    assert "! Connection to the daemon lost, retrying; the run continues there" in stderr
    assert "! Connected to the daemon again" in stderr
    assert process.returncode == 0
    assert asked_for(laptop.environment.model.requests, "!slow 4") == 1


def test_an_answer_whose_daemon_has_ended_is_a_failure(
    shared_environment: Environment, laptop: Laptop
) -> None:
    with laptop.start("session", "send", "frontend", "!slow 60", "--wait") as process:
        assert process.stdout
        process.stdout.read(5)
        for daemon in shared_environment.processes():
            daemon.kill()
        _, stderr = rest_of(process)

    assert process.returncode == 1
    assert "The answer is incomplete" in stderr


def test_who_interrupts_it_is_told_how_to_end_the_run(laptop: Laptop, daemon: Daemon) -> None:
    session = send(laptop, "frontend", "hello")
    with laptop.start("session", "send", session, "!slow 60", "--wait") as process:
        assert process.stdout
        process.stdout.read(2)
        process.send_signal(signal.SIGINT)
        _, stderr = rest_of(process)
    at_work = busy_sessions(laptop, daemon)
    daemon.request("POST", f"/session/{session}/abort")

    assert process.returncode == 130
    assert f"ocattach session abort {session}" in stderr
    assert session in at_work


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["frontend", "hello", "--model", "fake/fake-3"], 2, "Model fake/fake-3 is not available there"),
        (["frontend", "hello", "--model", "fake-1"], 2, "is not of the form PROVIDER/MODEL"),
        (["frontend", "hello", "--agent", "nobody"], 2, "Agent nobody is not available there"),
        (["frontend", " "], 2, "The prompt is empty"),
        (["ses_doesnotexist", "hello"], 3, "ses_doesnotexist"),
        (["local:///no/such/place", "hello"], 1, "Directory /no/such/place does not exist"),
    ],
)
def test_what_would_die_there_without_a_word_is_an_error_here(
    laptop: Laptop, daemon: Daemon, arguments: list[str], code: int, words: str
) -> None:
    before = len(daemon.request("GET", "/experimental/session?limit=1000")[1])
    ran = laptop.run("session", "send", *arguments)

    assert (ran.exit_code, ran.stdout) == (code, "")
    assert words in ran.stderr
    assert len(daemon.request("GET", "/experimental/session?limit=1000")[1]) == before


def test_a_directory_that_is_gone_since_is_an_error_before_anything_is_sent(
    laptop: Laptop, daemon: Daemon
) -> None:
    gone = Path(laptop.environment.workdir, "gone")
    gone.mkdir()
    _, made = daemon.request("POST", f"/session?directory={gone}", {})
    gone.rmdir()

    ran = laptop.run("session", "send", made["id"], "hello", "--wait")

    assert ran.exit_code == 1
    assert f"Directory {gone} does not exist" in ran.stderr
    assert messages_of(daemon, made["id"]) == []


def test_prompts_that_wait_together_for_an_answer_all_get_it(laptop: Laptop, daemon: Daemon) -> None:
    session = send(laptop, "frontend", "!slow 4")
    wait_until(lambda: busy_sessions(laptop, daemon), "the first to be worked on")
    texts = ["one of two", "two of two"]
    answers: list[str] = []

    def ask(text: str) -> None:
        ran = laptop.run("session", "send", session, text, "--wait", "-o", "json")
        answers.append(ran.document["text"])

    both = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for each in both:
        each.start()
    for each in both:
        each.join()
    messages = messages_of(daemon, session)
    prompts = [message for message in messages if message["info"]["role"] == "user"]

    assert len(answers) == 2
    assert {answer.removeprefix("You said: ") for answer in answers} <= set(texts)
    assert sorted(part["text"] for prompt in prompts for part in prompt["parts"]) == ["!slow 4", *texts]
    assert sum(asked_for(laptop.environment.model.requests, text) for text in texts) in {1, 2}
