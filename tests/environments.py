"""One environment for each way in, furnished alike: what the contract is tested on.

A transport without an environment here fails `test_every_transport_is_under_contract`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.base import Question
from ocattach.transports.command import CommandTransport
from tests.rigs.container import ContainerRig
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.local import local_machine, user_environment
from tests.rigs.machine import HOME, WORKDIR, Machine
from tests.rigs.model import ScriptedModel
from tests.rigs.namespaces import Network
from tests.rigs.opencode import opencode_bin
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment in which nobody has worked yet, and the laptop of a user who may use it."""

    entry: Entry
    """The connection, as a file would have it."""

    variables: Mapping[str, str]
    """The whole environment of a program on the laptop."""

    workdir: str
    home: Path
    """Of the account in the environment, as a path that can be opened here."""

    model: ScriptedModel
    network: Network
    """Where the daemon listens."""

    processes: Callable[[], list[psutil.Process]]
    connections: Callable[[], int]
    """How many the engine has seen so far, by its own log: execs in a container, log-ins at a host."""

    route: str
    """What users are told of the way to its daemon."""

    missing: Entry | None = None
    """An environment that the same engine does not have."""

    laptop: Path = field(default=Path())
    """A directory of the laptop's own."""

    def spec(self, **changes: Any) -> ConnectionSpec:
        """The connection with its working directory."""
        return ConnectionSpec.from_entry({**self.entry, "workdir": self.workdir, **changes})

    def handler(self, **changes: Any) -> CommandTransport:
        """A handler for it that asks nobody."""
        handler = open_handler(self.spec(**changes), ask=ask_nobody, timeout=30)
        assert isinstance(handler, CommandTransport)
        return handler


def ask_nobody(question: Question) -> str:
    """For tests in which no question may come up."""
    raise AssertionError(question)


Make = Callable[[pytest.FixtureRequest], AbstractContextManager[Environment]]


@contextmanager
def local_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """This machine, with an empty home."""
    request.getfixturevalue("opencode_bin")
    with short_directory() as directory, local_machine(directory) as machine:
        home = str(machine.home)
        yield Environment(
            entry={"transport": "local"},
            variables=machine.environment,
            workdir=str(machine.workdir),
            home=machine.home,
            model=machine.model,
            network=Network(Path("/proc/self")),
            processes=lambda: processes_of_home(home),
            connections=lambda: 0,
            route="direct",
            laptop=machine.home,
        )


def processes_of_home(home: str) -> list[psutil.Process]:
    """The daemons that run for a home directory; children of the test are not among them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == home and "serve" in process.cmdline():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@contextmanager
def docker_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """A new container without any network."""
    engine: DockerEngine = request.getfixturevalue("docker_engine")
    with short_directory() as laptop, engine.container("frontend-app", model=True) as container:
        assert container.model is not None
        # Its first process is Docker's init, which starts the image's own program a moment later.
        at_first = wait_until(lambda: two_processes_of(container), "the container's program to start")
        yield Environment(
            entry={"transport": "docker", "container": "frontend-app"},
            variables={**user_environment(laptop, programs(laptop)), "DOCKER_HOST": engine.url},
            workdir="/work",
            home=container.path("/root"),
            model=container.model,
            network=container.network,
            processes=lambda: [p for p in processes_of_container(container) if p not in at_first],
            connections=lambda: sum(call.endswith("/exec") for call in engine.calls()),
            route="relay",
            missing={"transport": "docker", "container": "frontend-ap"},
            laptop=laptop,
        )


def processes_of_container(container: ContainerRig) -> list[psutil.Process]:
    """All that runs in a container."""
    namespace = (container.process / "ns/pid").readlink()
    found = []
    for process in psutil.process_iter():
        try:
            if Path(f"/proc/{process.pid}/ns/pid").readlink() == namespace:
                found.append(process)
        except OSError:
            continue
    return found


def two_processes_of(container: ContainerRig) -> list[psutil.Process] | None:
    """The processes of a container, once there are two of them and the second is itself."""
    found = processes_of_container(container)
    names = {process.name() for process in found}
    return found if len(found) == len(names) == 2 else None


def ssh_environment(name: str) -> Make:
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
                route="relay" if name == "nofwd" else "ssh",
                missing={"transport": "ssh", "host": "no-such-host.invalid"},
                laptop=laptop,
            )

    return make


def programs(laptop: Path) -> Path:
    """A folder for PATH on the laptop, with the opencode that shows the TUI."""
    folder = laptop / "bin"
    folder.mkdir()
    (folder / "opencode").symlink_to(opencode_bin())
    return folder


ENVIRONMENTS: Mapping[str, Make] = {
    "docker": docker_environment,
    "local": local_environment,
    "ssh": ssh_environment("main"),
    "ssh-relay": ssh_environment("nofwd"),
}
