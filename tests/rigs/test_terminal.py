"""The terminal rig, and what can be seen of processes."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.rigs.availability import require
from tests.rigs.local import user_environment
from tests.rigs.namespaces import Network
from tests.rigs.processes import ArgumentRecorder, Listener, environments, listeners, listeners_of
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until

ASK = 'printf "name? "; read name; echo "hello $name, $GREETING"; exit 7'


@pytest.fixture
def asking(workdir: Path) -> Iterator[Terminal]:
    environment = {**user_environment(workdir), "GREETING": "grüß dich"}
    with (
        require("tmux"),
        Terminal(["sh", "-c", ASK], directory=workdir, environment=environment, cwd=workdir) as terminal,
    ):
        yield terminal


def test_what_is_typed_is_answered(asking: Terminal) -> None:
    asking.wait_for("name?")
    assert asking.exit_code is None

    asking.send_text("Ann; it's Bob")
    asking.send_keys("Enter")

    assert asking.wait_for_exit() == 7
    assert asking.screen().splitlines()[-1] == "hello Ann; it's Bob, grüß dich"


def test_a_command_ended_by_a_signal_says_so(asking: Terminal) -> None:
    os.kill(asking.pid, signal.SIGTERM)

    assert asking.wait_for_exit() == 128 + signal.SIGTERM


def test_waiting_in_vain_shows_the_screen(asking: Terminal) -> None:
    asking.wait_for("name?")

    with pytest.raises(TimeoutError, match="name\\?"):
        asking.wait_for("nothing of the kind", timeout=0.1)


def test_a_closed_terminal_takes_its_command_along(asking: Terminal) -> None:
    process = psutil.Process(asking.pid)

    asking.close()
    asking.close()

    wait_until(lambda: not process.is_running() or process.status() == "zombie", "the command to end")


def test_an_argument_does_not_escape_the_recorder() -> None:
    with ArgumentRecorder() as recorder:
        subprocess.run(["sleep", "0.2125"], check=True)

    assert recorder.showing("0.2125") == [("sleep", "0.2125")]
    assert recorder.showing("0.2126") == []


def test_a_variable_is_seen_in_the_environment() -> None:
    with subprocess.Popen(["sleep", "10"], env={"SECRET": "swordfish"}) as process:
        assert {"SECRET": "swordfish"} in [found for pid, found in environments() if pid == process.pid]
        process.kill()


@pytest.mark.parametrize(("host", "is_loopback"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False)])  # noqa: S104
def test_a_listening_socket_is_seen(host: str, is_loopback: bool) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        expected = Listener(host, server.getsockname()[1])

        assert expected in listeners(Network(Path("/proc/self")))
        assert expected in listeners_of([psutil.Process()])
        assert expected.is_loopback == is_loopback
