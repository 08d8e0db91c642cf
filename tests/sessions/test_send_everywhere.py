"""`ocattach session send` where the way in can be cut: docker, ssh and k8s, each by its own means."""

from typing import Any

import psutil
import pytest

from tests.environments import Environment
from tests.main_job.conftest import laptop
from tests.main_job.laptop import Laptop
from tests.main_job.test_reconnecting import end_sessions
from tests.model.server import asked_for
from tests.sessions.printing import rest_of

__all__ = ["laptop"]


def cut(environment: Environment, request: pytest.FixtureRequest) -> None:
    """Cut the way in, and not the daemon: what sshd does for who is logged in, or the relay there."""
    if environment.entry["transport"] == "ssh":
        end_sessions(request.getfixturevalue("ssh_machines")["main"])
        return
    relays = [process for process in environment.processes() if not serves(process)]
    assert relays
    for relay in relays:
        relay.kill()


def serves(process: psutil.Process) -> bool:
    """Whether it is a daemon; what is just gone is none of the relays that are looked for."""
    try:
        return "serve" in process.cmdline()
    except psutil.NoSuchProcess:
        return True


def session_of(laptop: Laptop, session: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A session and its messages, by its daemon."""
    daemon = laptop.connect()
    _, content = daemon.request("GET", f"/session/{session}")
    _, messages = daemon.request("GET", f"/session/{session}/message")
    return content, messages


@pytest.mark.parametrize("environment", ["docker", "k8s", "ssh"], indirect=True)
def test_one_command_starts_the_daemon_and_brings_the_whole_answer_over_a_cut_way(
    environment: Environment, laptop: Laptop, request: pytest.FixtureRequest
) -> None:
    assert not environment.processes()
    with laptop.start("session", "send", "frontend", "!slow 8", "--wait") as process:
        assert process.stdout
        first = process.stdout.read(5)
        cut(environment, request)
        rest, stderr = rest_of(process)
    session = next(word for word in stderr.split() if word.startswith("ses_"))
    content, messages = session_of(laptop, session)

    assert process.returncode == 0, stderr
    assert "✓ Started daemon" in stderr
    assert first + rest == " ".join(f"w{number}" for number in range(40)) + "\n"
    assert asked_for(environment.model.requests, "!slow 8") == 1
    assert [message["info"]["role"] for message in messages] == ["user", "assistant"]
    assert content["directory"] == environment.workdir
    assert content["metadata"]["origin"] == "frontend"

    again = laptop.run("session", "send", session, "hello", "--wait", "-o", "json")
    assert again.document["text"] == "You said: hello"
    assert asked_for(environment.model.requests, "hello") == 1
