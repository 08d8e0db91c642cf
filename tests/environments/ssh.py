"""Machines with sshd, and the laptops from which they are reached: by OpenSSH, or by paramiko."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.environments.environment import Environment, Make, programs
from tests.rigs.directories import short_directory
from tests.rigs.local import user_environment
from tests.rigs.machine import HOME, WORKDIR, Machine
from tests.rigs.ssh import SSHMachines

MASTER_SECONDS = 30


def ssh_environment(name: str, *, answers: Mapping[str, str] | None = None) -> Make:
    """A machine of the ssh rig, its home emptied."""

    @contextmanager
    def make(request: pytest.FixtureRequest) -> Iterator[Environment]:
        machines: SSHMachines = request.getfixturevalue("ssh_machines")
        machine: Machine = machines[name]
        machine.reset()
        with short_directory() as laptop, machine.serve_model() as model:
            yield Environment(
                entry={"transport": "ssh", "host": name},
                variables=user_environment(laptop, machines.bin, programs(laptop)),
                workdir=WORKDIR,
                home=machine.confined.path(HOME),
                model=model,
                network=machine.network,
                processes=machine.processes,
                connections=lambda: machine.log_ins,
                route="relay",
                missing={"transport": "ssh", "host": "no-such-host.invalid"},
                laptop=laptop,
                answers=answers or {},
            )

    return make


def by_users_master(name: str) -> Make:
    """A machine to which the user is logged in already, by a ControlMaster; no question may come up."""

    @contextmanager
    def make(request: pytest.FixtureRequest) -> Iterator[Environment]:
        machines: SSHMachines = request.getfixturevalue("ssh_machines")
        with ssh_environment(name)(request) as environment:
            settings = f"Host {name}\n  ControlMaster auto\n  ControlPath {environment.laptop}/cm-%C\nHost *"
            ssh = machines.client_bin(environment.laptop / "with-master", settings=settings) / "ssh"
            asked = {"SSH_ASKPASS": str(machines.askpass), "SSH_ASKPASS_REQUIRE": "force"}
            master = [str(ssh), "-M", "-N", "-f", name]
            subprocess.run(
                master, check=True, timeout=MASTER_SECONDS, env=os.environ | asked, stdin=subprocess.DEVNULL
            )
            path = f"{ssh.parent}:{environment.variables['PATH']}"
            try:
                yield replace(environment, variables={**environment.variables, "PATH": path})
            finally:
                ended = subprocess.run(
                    [ssh, "-O", "exit", name], check=False, capture_output=True, timeout=10
                )
                assert b"Exit request sent" in ended.stderr, "the user's master is never ended"

    return make


def by_paramiko(name: str) -> Make:
    """A machine that is reached from a laptop whose settings choose paramiko."""

    @contextmanager
    def make(request: pytest.FixtureRequest) -> Iterator[Environment]:
        machines: SSHMachines = request.getfixturevalue("ssh_machines")
        with ssh_environment(name)(request) as environment:
            folder = environment.laptop / ".ssh"
            folder.mkdir()
            shutil.copy(machines.config, folder / "config")
            settings = Path(environment.variables["OCATTACH_CONFIG_DIR"])
            settings.mkdir()
            (settings / "config.yaml").write_text("ssh_client: paramiko\n")
            yield environment

    return make
