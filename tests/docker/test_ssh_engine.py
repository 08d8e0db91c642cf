"""An engine behind ssh: a real dockerd whose socket is on a real machine with sshd, and a name for it here."""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ocattach.errors import AuthenticationError, HostKeyError, UnreachableError
from ocattach.transports.base import Question
from tests.contract.servers import echo, send_and_receive, serve
from tests.docker.laptops import handler_for
from tests.rigs.availability import require
from tests.rigs.container import ContainerRig
from tests.rigs.docker import DockerEngine
from tests.rigs.machine import Machine
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

MEGABYTE = 1024 * 1024


@contextmanager
def shared_directory() -> Iterator[Path]:
    """A directory that the machines see too: their /tmp is their own."""
    directory = Path(tempfile.mkdtemp(prefix="oct", dir="/dev/shm"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class EngineBehind:
    """An engine and the machine that leads to it."""

    engine: DockerEngine
    container: ContainerRig
    machines: SSHMachines
    machine: Machine
    socket: Path

    @property
    def url(self) -> str:
        """With the socket in the path: the account there need not know of it."""
        return f"ssh://main{self.socket}"


@pytest.fixture(scope="module")
def running(ssh_machines: SSHMachines, opencode_bin: str) -> Iterator[EngineBehind]:  # noqa: ARG001  it is mounted
    with require("docker"), shared_directory() as directory, DockerEngine(directory) as engine:
        socket = engine.socket
        socket.chmod(0o666)
        with engine.container("frontend-app") as container:
            yield EngineBehind(engine, container, ssh_machines, ssh_machines["main"], socket)


@pytest.fixture
def behind(running: EngineBehind, monkeypatch: pytest.MonkeyPatch) -> EngineBehind:
    """Nobody has worked on the machine; this process is the user's laptop."""
    running.machine.reset()
    monkeypatch.setenv("PATH", f"{running.machines.bin}:{os.environ['PATH']}")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return running


def client_that_asks(behind: EngineBehind, folder: Path, known_hosts: Path) -> None:
    """Put an ssh first on PATH that knows these hosts and asks about others."""
    config = behind.machines.client_bin(folder, known_hosts=known_hosts) / "ssh_config"
    config.write_text(config.read_text().replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask"))
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"  # `behind` takes it back


def test_commands_run_in_a_container_behind_ssh(behind: EngineBehind) -> None:
    data = os.urandom(4 * MEGABYTE)
    with handler_for("frontend-app", host=behind.url) as handler:
        assert handler.check_available().summary == "Container is running"
        result = handler.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=data, timeout=30)

    assert (3, data, b"err\n") == (result.exit_code, result.stdout, result.stderr)


def test_an_alias_in_capitals_is_the_one_that_ssh_knows(behind: EngineBehind, workdir: Path) -> None:
    alias = f"Host Builder\n  HostName {behind.machine.address}\nHost builder\n  HostName 192.0.2.1\nHost *"
    behind.machines.client_bin(workdir / "bin", settings=alias)
    os.environ["PATH"] = f"{workdir / 'bin'}:{os.environ['PATH']}"  # `behind` takes it back

    with handler_for("frontend-app", host=f"ssh://Builder{behind.socket}") as handler:
        assert handler.run(["echo", "well"], timeout=60).stdout == b"well\n"


def test_everything_goes_through_one_log_in(behind: EngineBehind) -> None:
    before = behind.machine.log_ins
    with handler_for("frontend-app", host=behind.url) as handler:
        handler.check_available()
        handler.run(["true"], timeout=10)
        handler.open_stream(["cat"]).close()

    assert behind.machine.log_ins == before + 1


def test_a_megabyte_goes_through_the_relay_and_back(behind: EngineBehind) -> None:
    data = os.urandom(MEGABYTE)
    with (
        serve(behind.container.network, echo) as port,
        handler_for("frontend-app", host=behind.url) as handler,
        handler.connect(port) as tunnel,
    ):
        assert tunnel.route_name == "relay"
        assert data == send_and_receive(tunnel.port, data)


def test_the_engine_is_the_one_of_the_account_there(
    behind: EngineBehind, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"host=unix://{behind.socket}"
    created = behind.machine.run("docker", "context", "create", "rig", "--docker", endpoint)
    chosen = behind.machine.run("docker", "context", "use", "rig")
    assert (created.returncode, chosen.returncode) == (0, 0)
    monkeypatch.setenv("DOCKER_HOST", "ssh://main")

    with handler_for("frontend-app") as handler:
        assert handler.run(["echo", "well"], timeout=60).stdout == b"well\n"


def test_a_shell_there_that_prints_on_every_log_in_does_not_disturb(behind: EngineBehind) -> None:
    behind.machine.write(".bashrc", "echo HTTP/1.1 200 OK; echo; echo welcome to $(hostname)\n")

    with handler_for("frontend-app", host=behind.url) as handler:
        assert handler.run(["echo", "well"], timeout=60).stdout == b"well\n"


def test_an_unknown_host_is_asked_about_and_remembered(behind: EngineBehind, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    client_that_asks(behind, tmp_path / "bin", known_hosts)
    questions: list[Question] = []

    def agree(question: Question) -> str:
        questions.append(question)
        return "yes"

    for _ in range(2):
        with handler_for("frontend-app", host=behind.url, ask=agree) as handler:
            assert handler.run(["true"], timeout=60).exit_code == 0

    asked = [question.text for question in questions if not question.notice]
    assert ["authenticity" in text for text in asked] == [True]
    assert "SHA256:" in questions[0].text


def test_a_host_that_is_not_trusted_hears_nothing(behind: EngineBehind, tmp_path: Path) -> None:
    client_that_asks(behind, tmp_path / "bin", tmp_path / "known_hosts")
    calls, log_ins = behind.engine.calls(), behind.machine.log_ins

    with (
        handler_for("frontend-app", host=behind.url, ask=lambda _: "no") as handler,
        pytest.raises(HostKeyError),
    ):
        handler.check_available()

    assert (calls, log_ins) == (behind.engine.calls(), behind.machine.log_ins)


def test_a_host_with_another_key_than_the_known_one_is_refused(behind: EngineBehind, tmp_path: Path) -> None:
    client_that_asks(behind, tmp_path / "bin", behind.machines.changed_known_hosts)
    log_ins = behind.machine.log_ins

    with handler_for("frontend-app", host=behind.url) as handler, pytest.raises(HostKeyError):
        handler.check_available()

    assert log_ins == behind.machine.log_ins


def test_a_host_that_does_not_let_us_in_is_told(behind: EngineBehind, tmp_path: Path) -> None:
    folder = behind.machines.client_bin(tmp_path / "bin", identity=behind.machines.stranger_identity)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"

    with handler_for("frontend-app", host=behind.url) as handler, pytest.raises(AuthenticationError):
        handler.check_available()


@pytest.mark.usefixtures("behind")
def test_an_engine_that_does_not_run_there_is_told_in_its_own_words() -> None:
    with (
        handler_for("frontend-app", host="ssh://main/run/no-such.sock") as handler,
        pytest.raises(UnreachableError) as raised,
    ):
        handler.check_available()

    assert "/run/no-such.sock" in raised.value.message
    assert raised.value.hint == "Check it there: ssh main docker info"


def test_an_account_that_may_not_use_the_engine_there_is_told(behind: EngineBehind) -> None:
    behind.socket.chmod(0o600)
    try:
        with (
            handler_for("frontend-app", host=behind.url) as handler,
            pytest.raises(AuthenticationError) as raised,
        ):
            handler.check_available()
    finally:
        behind.socket.chmod(0o666)

    assert "permission denied" in raised.value.message.lower()


def test_nothing_is_left_here_or_there_after_disconnecting(behind: EngineBehind) -> None:
    before = threading.active_count()
    with handler_for("frontend-app", host=behind.url) as handler:
        handler.run(["true"], timeout=10)
        with closing(handler.open_stream(["cat"])):
            assert behind.machine.processes()

    wait_until(lambda: threading.active_count() <= before, "our threads to end")
    wait_until(lambda: not behind.machine.processes(), "the programs there to end")
