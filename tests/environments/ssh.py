"""Machines with sshd."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.environments.environment import Environment, Make, programs
from tests.rigs.directories import short_directory
from tests.rigs.local import user_environment
from tests.rigs.machine import HOME, WORKDIR, Machine
from tests.rigs.ssh import SSHMachines


def ssh_environment(name: str, *, route: str = "ssh", answers: Mapping[str, str] | None = None) -> Make:
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
                route=route,
                missing={"transport": "ssh", "host": "no-such-host.invalid"},
                laptop=laptop,
                answers=answers or {},
            )

    return make
