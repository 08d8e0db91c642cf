"""The rigs keep their own promises; what else would the other tests stand on."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.machine import WORKDIR, Machine
from tests.rigs.namespaces import Network
from tests.rigs.opencode import CHECKOUT
from tests.rigs.processes import is_alive
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

SERVE = "opencode serve --hostname 127.0.0.1 --port 4096"


def ask(network: Network, path: str, *, timeout: float = 1) -> object:
    """One request to the daemon at port 4096, or None while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", 4096)
    try:
        connection.sock = network.dial(4096, timeout=timeout)
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def test_a_container_runs_opencode(docker_engine: DockerEngine) -> None:
    with docker_engine.container("rig-opencode") as container:
        assert container.run("hostname").exit_code == 0
        assert container.run("opencode", "--version").stdout.startswith("1.")


@pytest.mark.parametrize("variant", ["bare", "pause"])
def test_other_images_run_without_opencode(docker_engine: DockerEngine, variant: str) -> None:
    with docker_engine.container(f"rig-{variant}", variant=variant) as container:
        assert container.run("opencode", "--version").exit_code != 0
        assert (container.run("sh", "-c", "true").exit_code == 0) == (variant == "bare")


def test_the_engine_logs_what_it_is_asked(docker_engine: DockerEngine) -> None:
    with docker_engine.container("rig-log") as container:
        before = len(docker_engine.calls())
        container.run("true")
        calls = docker_engine.calls()[before:]

    assert [call for call in calls if call.endswith("/exec")] != []


def test_a_stopped_engine_comes_back_with_its_containers(workdir: Path, docker_engine: DockerEngine) -> None:
    assert docker_engine.client.ping()
    with DockerEngine(workdir) as engine, engine.container("survivor"):
        init = engine.daemon.pid
        engine.stop()

        assert not is_alive(init)
        assert not engine.socket.exists()

        engine.start()
        assert engine.client.containers.get("survivor").status == "exited"


@pytest.mark.parametrize("name", ["main", "inner", "nofwd"])
def test_a_machine_lets_the_user_in(ssh_machines: SSHMachines, name: str) -> None:
    machine = ssh_machines[name]
    before = machine.log_ins

    answer = ssh_machines.run(name, "hostname; id -un; pwd")

    assert answer.stdout.split() == [f"machine-{name}".encode(), b"tester", b"/home/tester"]
    assert machine.log_ins == before + 1


def test_a_machine_refuses_a_stranger(ssh_machines: SSHMachines, workdir: Path) -> None:
    folder = ssh_machines.client_bin(workdir, identity=ssh_machines.stranger_identity)

    done = subprocess.run([folder / "ssh", "main", "true"], capture_output=True, text=True, check=False)

    assert "Permission denied" in done.stderr


def test_a_changed_host_key_is_noticed(ssh_machines: SSHMachines, workdir: Path) -> None:
    folder = ssh_machines.client_bin(workdir, known_hosts=ssh_machines.changed_known_hosts)

    done = subprocess.run([folder / "ssh", "main", "true"], capture_output=True, text=True, check=False)

    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_a_password_opens_the_machine_that_wants_one(ssh_machines: SSHMachines) -> None:
    environment = {**os.environ, "SSH_ASKPASS": str(ssh_machines.askpass), "SSH_ASKPASS_REQUIRE": "force"}

    done = subprocess.run(
        [ssh_machines.bin / "ssh", "passwd", "hostname"], capture_output=True, env=environment, check=False
    )

    assert done.stdout == b"machine-passwd\n"


def test_a_reset_machine_is_untouched(ssh_machines: SSHMachines) -> None:
    machine = ssh_machines["main"]
    machine.reset()
    start_daemon(ssh_machines, machine)
    assert machine.processes()

    machine.reset()

    assert not machine.processes()
    assert not (machine.home / ".local").exists()
    assert machine.confined.path(WORKDIR).is_dir()


def start_daemon(machines: SSHMachines, machine: Machine) -> None:
    machines.run(machine.name, f"setsid .opencode/bin/{SERVE} >/dev/null 2>&1 </dev/null &")
    wait_until(lambda: ask(machine.network, "/global/health"), "the daemon", timeout=20)


def test_a_machine_without_opencode_has_none(ssh_machines: SSHMachines) -> None:
    assert ssh_machines.run("bare", "ls .opencode").returncode != 0


def test_what_runs_at_a_home_ends_with_its_directory() -> None:
    with short_directory() as directory:
        environment = {"HOME": str(directory / "home")}
        sleeper = subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True)

    assert sleeper.wait(timeout=5) == -signal.SIGKILL
    assert not directory.exists()


KILLED_RUN = """\
import subprocess, sys
from pathlib import Path
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.leash import leash
from tests.rigs.ssh import SSHMachines

top = Path(sys.argv[1])
with leash(), DockerEngine(top / "d") as engine, SSHMachines(top / "s", ["main"]) as ssh:
    engine.client.ping()
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print(engine.daemon.pid, ssh["main"].confined.pid, sleeper.pid, flush=True)
    sleeper.wait()
"""


def test_nothing_outlives_a_killed_test_run(
    workdir: Path,
    docker_engine: DockerEngine,  # noqa: ARG001  so that it is known that both can be had here
    ssh_machines: SSHMachines,  # noqa: ARG001
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, workdir], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout is not None
        pids = [int(word) for word in run.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(is_alive, pids))

        run.send_signal(signal.SIGKILL)

    wait_until(lambda: not any(map(is_alive, pids)), "everything to end")
