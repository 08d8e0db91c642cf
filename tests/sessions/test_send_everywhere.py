"""`ocattach session send` where the connection can be cut: docker and ssh, each by its own means."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.environments import Environment
from tests.faults.network import change_dropping
from tests.main_job.conftest import laptop
from tests.main_job.laptop import Laptop
from tests.main_job.test_reconnecting import end_sessions
from tests.model.server import asked_for
from tests.rigs.docker import DockerEngine
from tests.rigs.processes import processes_in
from tests.sessions.printing import rest_of

__all__ = ["laptop"]


def cut(environment: Environment, request: pytest.FixtureRequest) -> None:
    """Cut the way in, and not the daemon: what sshd does for who is logged in, or the relay there."""
    if environment.entry["transport"] == "ssh":
        end_sessions(request.getfixturevalue("ssh_machines")["main"])
        return
    for relay in relays_in(environment):
        relay.kill()


def relays_in(environment: Environment) -> list[psutil.Process]:
    """The relays that run there."""
    relays = [process for process in environment.processes() if not serves(process)]
    assert relays
    return relays


def serves(process: psutil.Process) -> bool:
    """Whether it is a daemon; what is just gone is none of the relays that are looked for."""
    try:
        return "serve" in process.cmdline()
    except psutil.NoSuchProcess:
        return True


DEAD_SECONDS, AWAY_SECONDS = 3, 9


@contextmanager
def away(environment: Environment, request: pytest.FixtureRequest) -> Iterator[None]:
    """An environment that cannot be reached, and works on.

    Packets to an ssh host are dropped. An engine of containers stops, as it does under a machine that swaps; the way
    that it carried is cut, and every new one hangs.
    """
    if environment.entry["transport"] == "ssh":
        cable = request.getfixturevalue("ssh_machines")["main"].cable
        change_dropping(cable, "-I")
        yield
        change_dropping(cable, "-D")
        return
    engine = dockerd(request.getfixturevalue("docker_engine"))
    relays = relays_in(environment)
    engine.suspend()
    try:
        for relay in relays:
            relay.kill()
        yield
    finally:
        engine.resume()


def dockerd(engine: DockerEngine) -> psutil.Process:
    """The engine's own process."""
    namespace = str(Path(f"/proc/{engine.daemon.pid}/ns/pid").readlink())
    (found,) = (process for process in processes_in(namespace) if process.name() == "dockerd")
    return found


def session_of(laptop: Laptop, session: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A session and its messages, by its daemon."""
    daemon = laptop.connect()
    _, content = daemon.request("GET", f"/session/{session}")
    _, messages = daemon.request("GET", f"/session/{session}/message")
    return content, messages


@pytest.mark.parametrize("environment", ["docker", "ssh"], indirect=True)
def test_one_command_starts_the_daemon_and_brings_the_whole_answer_over_a_cut_way(
    environment: Environment, laptop: Laptop, request: pytest.FixtureRequest
) -> None:
    environment.wait_until_nothing_runs()
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


@pytest.mark.parametrize("environment", ["docker", "ssh"], indirect=True)
def test_an_environment_that_is_away_for_a_while_in_the_middle_of_an_answer_is_waited_for(
    environment: Environment, laptop: Laptop, request: pytest.FixtureRequest
) -> None:
    (laptop.config / "config.yaml").write_text(f"dead_seconds: {DEAD_SECONDS}\n")
    with laptop.start("session", "send", "frontend", "!slow 5", "--wait") as process:
        assert process.stdout
        first = process.stdout.read(5)
        with away(environment, request):
            time.sleep(AWAY_SECONDS)  # the answer ends meanwhile
        rest, stderr = rest_of(process)
    session = next(word for word in stderr.split() if word.startswith("ses_"))
    _, messages = session_of(laptop, session)

    assert process.returncode == 0, stderr
    assert first + rest == " ".join(f"w{number}" for number in range(25)) + "\n"
    assert [message["info"]["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["info"]["parentID"] == messages[0]["info"]["id"]
    assert asked_for(environment.model.requests, "!slow 5") == 1
