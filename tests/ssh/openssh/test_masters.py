"""A connection that the user has already open is used and left open; our own ends with us, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from ocattach.config.files.paths import runtime_directory
from ocattach.errors import OcattachError
from ocattach.transports.foreground import LocalProgram
from tests.contract.servers import echo, send_and_receive, serve
from tests.rigs.machine import HOME, Machine
from tests.rigs.processes import is_alive
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Client, Person
from tests.ssh.openssh.conftest import Started

OWNER = """\
import os, sys, time
from ocattach.config.spec import ConnectionSpec
from ocattach.transports.ssh.openssh import settings
from ocattach.transports.ssh.transport import SSHTransport

settings.PERSIST_SECONDS = 1
spec = ConnectionSpec.from_entry({"transport": "ssh", "host": "main"})
handler = SSHTransport(spec, ask=lambda question: "", timeout=30)
handler.run(["true"], timeout=20)
if sys.argv[1] == "busy":
    stream = handler.open_stream(["cat"])
print("ready", flush=True)
time.sleep(60)
"""
SOON = 8
"""Seconds in which a connection that hangs is closed: a master has some to answer."""

ENDS_WITHIN = 15
"""Seconds, of which ssh stays one for a next command."""


class UsersMaster:
    """A connection that the user has opened."""

    def __init__(self, client: Client, host: str) -> None:
        self.host = host
        self.path = client.folder / "cm"
        self._environment = {
            **os.environ,
            "SSH_ASKPASS": str(client.machines.askpass),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        done = self._ssh("-f", "-N", "-M")
        assert done.returncode == 0, done.stderr

    @property
    def pid(self) -> int | None:
        """Its process, if it answers."""
        said = self._ssh("-O", "check").stderr
        return int(said.partition("pid=")[2].partition(")")[0]) if "pid=" in said else None

    def close(self) -> None:
        """End it, as a user does."""
        self._ssh("-O", "exit")
        wait_until(lambda: self.pid is None, "the user's connection to end")

    def _ssh(self, *options: str) -> subprocess.CompletedProcess[str]:
        # It keeps stderr open while it runs.
        with (self.path.parent / "said").open("w+") as said:
            done = subprocess.run(
                ["ssh", *options, self.host],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
            )
            said.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, "", said.read())


def test_the_log_in_of_another_process_is_used_and_left_open(client: Client, machines: SSHMachines) -> None:
    with client.handler("passwd", Person(password=client.machines.password)) as link:
        link.check_available()
        log_ins = machines["passwd"].log_ins
        with client.handler("passwd", Person()) as handler:
            handler.login = link.shared_login()
            command = handler.start_command(["hostname"], size=None)
            assert isinstance(command, LocalProgram)
            assert subprocess.check_output(command.argv, timeout=60) == b"machine-passwd\n"

        assert link.run(["hostname"], timeout=60).stdout == b"machine-passwd\n"
    assert machines["passwd"].log_ins == log_ins


def test_a_log_in_that_is_gone_is_replaced(client: Client) -> None:
    person = Person(password=client.machines.password)
    with client.handler("passwd", person) as handler:
        handler.login = str(client.folder / "gone" / "master")
        assert handler.run(["hostname"], timeout=60).stdout == b"machine-passwd\n"
    assert len(person.asked) == 1


@pytest.fixture
def users_master(client: Client) -> Iterator[UsersMaster]:
    """A connection of the user's to a machine that would ask for a password."""
    client.configure(f"ControlMaster auto\nControlPath {client.folder}/cm\nControlPersist 60")
    master = UsersMaster(client, "passwd")
    yield master
    master.close()


def test_the_users_own_connection_is_used_and_left_open(
    client: Client, machines: SSHMachines, users_master: UsersMaster
) -> None:
    passwd = machines["passwd"]
    pid, log_ins = users_master.pid, passwd.log_ins
    with (
        serve(passwd.network, echo, home=passwd.confined.path(HOME)) as port,
        client.handler("passwd") as handler,
    ):
        assert handler.run(["hostname"], timeout=60).stdout == b"machine-passwd\n"
        with handler.connect(port) as tunnel:
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"
    assert passwd.log_ins == log_ins
    assert pid is not None
    assert users_master.pid == pid


def test_a_connection_that_the_user_has_ended_is_replaced_by_our_own(
    client: Client, machines: SSHMachines, users_master: UsersMaster
) -> None:
    log_ins = machines["passwd"].log_ins
    person = Person(password=client.machines.password)
    with client.handler("passwd", person) as handler:
        handler.check_available()
        users_master.close()
        try:
            handler.run(["hostname"], timeout=20)
        except OcattachError:  # the connection was lost
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-passwd\n"
    assert len(person.asked) == 1
    assert machines["passwd"].log_ins == log_ins + 1
    assert users_master.pid is None


def test_a_connection_of_the_users_that_hangs_is_given_up(
    client: Client, machines: SSHMachines, users_master: UsersMaster
) -> None:
    log_ins = machines["passwd"].log_ins
    pid = users_master.pid
    assert pid is not None
    with client.handler("passwd", Person(password=client.machines.password)) as handler:
        handler.check_available()
        with stopped(pid):
            with pytest.raises(OcattachError):
                handler.run(["hostname"], timeout=1)
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-passwd\n"
    assert machines["passwd"].log_ins == log_ins + 1
    assert users_master.pid == pid


def test_no_connection_is_left_where_the_user_keeps_theirs(client: Client) -> None:
    path = client.folder / "cm"
    client.configure(f"ControlMaster auto\nControlPath {path}\nControlPersist 60")

    with client.handler("main") as handler:
        handler.run(["true"], timeout=20)
        assert not path.exists()
    assert not path.exists()


def test_commands_and_a_tunnel_share_one_login(client: Client, main: Machine, started: Started) -> None:
    log_ins = main.log_ins
    with (
        serve(main.network, echo, home=main.confined.path(HOME)) as port,
        client.handler("main") as handler,
    ):
        handler.run(["true"], timeout=20)
        with handler.connect(port) as tunnel:
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"
            handler.run(["true"], timeout=20)
        assert started()
    assert main.log_ins == log_ins + 1
    assert not started()


@pytest.mark.parametrize(("at_once", "log_ins"), [(8, 1), (15, 2)])
def test_threads_that_run_commands_at_once_log_in_together(
    client: Client, machines: SSHMachines, at_once: int, log_ins: int
) -> None:
    before = machines["ten"].log_ins
    with client.handler("ten") as handler, ThreadPoolExecutor(at_once) as pool:
        if log_ins > 1:
            handler.check_available()
        argv = ["sh", "-c", "sleep 3; hostname"]
        runs = [pool.submit(handler.run, argv, timeout=20) for _ in range(at_once)]
        assert {run.result().stdout for run in runs} == {b"machine-ten\n"}
    assert machines["ten"].log_ins == before + log_ins


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_the_end_of_our_connection_the_next_command_opens_another(
    client: Client, main: Machine, started: Started, number: signal.Signals
) -> None:
    log_ins = main.log_ins
    with client.handler("main") as handler:
        handler.run(["true"], timeout=20)
        (master,) = connected_to(main, started)
        master.send_signal(number)
        wait_until(lambda: not is_alive(master.pid), "the master to end")

        assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"
    assert main.log_ins == log_ins + 2


def test_a_connection_that_hangs_ends_the_command_in_time_and_is_replaced(
    client: Client, main: Machine, started: Started
) -> None:
    with client.handler("main") as handler:
        handler.run(["true"], timeout=20)
        (master,) = connected_to(main, started)
        with stopped(master.pid):
            began = time.monotonic()
            with pytest.raises(OcattachError):
                handler.run(["hostname"], timeout=1)
            handler.disconnect()
            assert time.monotonic() - began < SOON
            wait_until(lambda: not is_alive(master.pid), "the master to end", timeout=1)
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"
        assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"


def test_the_command_after_one_that_hung_works_again(client: Client, main: Machine, started: Started) -> None:
    with client.handler("main") as handler:
        handler.run(["true"], timeout=20)
        (master,) = connected_to(main, started)
        with stopped(master.pid):
            with pytest.raises(OcattachError):
                handler.run(["hostname"], timeout=1)
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"


@pytest.mark.parametrize("name", ["with %h ${USER} 'and \"quotes", "l" * 150], ids=["odd", "long"])
def test_the_directory_of_the_connection_may_have_any_name(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    directory = client.folder / name
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))

    assert client.greet("passwd", Person(password=client.machines.password)) == "machine-passwd"


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_process_that_is_killed_leaves_no_connection_for_long(
    main: Machine, started: Started, state: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, state], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        assert connected_to(main, started)
        owner.kill()
    wait_until(lambda: not started(), "ssh to end", timeout=ENDS_WITHIN)
    wait_until(
        lambda: not [process for process in main.processes() if process.name() == "cat"],
        "the command on the host to end",
    )
    assert not list(runtime_directory(os.environ).glob(f"ssh-{owner.pid}-*"))


def connected_to(machine: Machine, started: Started) -> list[psutil.Process]:
    """The processes of this test with a connection to a machine."""
    return [process for process in started() if machine.address in peers(process)]


def peers(process: psutil.Process) -> set[str]:
    """The addresses to which a process is connected; none if it has just ended."""
    with suppress(psutil.NoSuchProcess):
        return {str(part) for link in process.net_connections("tcp") for part in link.raddr[:1]}
    return set()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process of this test's for a while; it may end meanwhile."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()
