"""Fixtures that give a test real engines, each started once for the whole run.

A rig that this machine cannot have skips the test and says why; OCATTACH_TEST_REQUIRE=docker,… forbids that.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

from tests.distribution import pytest_xdist_make_scheduler  # noqa: F401  a hook
from tests.environments import ENVIRONMENTS, VARIANTS, Environment, starts_daemons
from tests.environments.environment import Make
from tests.main_job.laptop import Laptop
from tests.outside.environment import netns_environment
from tests.quick import mark_quick
from tests.rigs import opencode
from tests.rigs.availability import Unavailable, require
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine, RootlessDockerEngine
from tests.rigs.kubernetes import Cluster, KubernetesCluster
from tests.rigs.kubernetes_given import given_cluster
from tests.rigs.leash import leash
from tests.rigs.local import LocalMachine, local_machine
from tests.rigs.podman import PodmanEngine, RootlessPodmanEngine
from tests.rigs.ssh import SSHMachines

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; programs inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _profile, _examples in (("whole", 100), ("quick", 25)):  # the latter for make test-quick
    hypothesis.settings.register_profile(
        _profile,
        max_examples=_examples,
        deadline=None,  # as the check below
        suppress_health_check=[hypothesis.HealthCheck.too_slow],  # it measures how busy the machine is
    )
hypothesis.settings.load_profile("whole")


@pytest.fixture(scope="session", autouse=True)
def _leash() -> Iterator[None]:
    """Whatever the tests start ends with them."""
    with leash():
        yield


@pytest.fixture
def workdir() -> Iterator[Path]:
    """A short private directory: unix sockets fit into it."""
    with short_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def opencode_bin() -> str:
    """The real OpenCode program."""
    with require("opencode"), _lookup_error_means_unavailable():
        return opencode.opencode_bin()


@pytest.fixture(scope="session")
def docker_engine(opencode_bin: str) -> Iterator[DockerEngine]:  # noqa: ARG001  containers mount it
    """The session's dockerd. A test that stops it starts a DockerEngine of its own."""
    with require("docker"), short_directory() as directory, DockerEngine(directory) as engine:
        yield engine


@pytest.fixture(scope="session")
def host_network_engine(opencode_bin: str) -> Iterator[DockerEngine]:  # noqa: ARG001  containers mount it
    """A dockerd whose containers can be on this machine's own network."""
    with (
        require("docker"),
        short_directory() as directory,
        DockerEngine(directory, own_network=False) as engine,
    ):
        yield engine


@pytest.fixture(scope="session")
def rootless_docker_engine(opencode_bin: str) -> Iterator[RootlessDockerEngine]:  # noqa: ARG001  as above
    """The session's dockerd of an ordinary user's."""
    with require("docker"), short_directory() as directory, RootlessDockerEngine(directory) as engine:
        yield engine


@pytest.fixture(scope="session")
def podman_engine(opencode_bin: str) -> Iterator[PodmanEngine]:  # noqa: ARG001  containers mount it
    """The session's podman service of root's."""
    with require("podman"), short_directory() as directory, PodmanEngine(directory) as engine:
        yield engine


@pytest.fixture(scope="session")
def rootless_podman_engine(opencode_bin: str) -> Iterator[RootlessPodmanEngine]:  # noqa: ARG001  as above
    """The session's podman service of an ordinary user's."""
    with require("podman"), short_directory() as directory, RootlessPodmanEngine(directory) as engine:
        yield engine


@pytest.fixture(scope="session")
def ssh_machines(opencode_bin: str) -> Iterator[SSHMachines]:  # noqa: ARG001  machines mount it
    """The session's machines; `reset()` one before a test that wants it untouched."""
    with require("ssh"), short_directory() as directory, SSHMachines(directory) as machines:
        yield machines


@pytest.fixture(scope="session")
def kubernetes_cluster(opencode_bin: str) -> Iterator[Cluster]:  # noqa: ARG001  pods mount it
    """The session's cluster, or the user's own. A test that stops a part starts a KubernetesCluster itself."""
    with (
        require("k8s"),
        short_directory() as directory,
        given_cluster(directory) or KubernetesCluster(directory) as cluster,
    ):
        yield cluster


@pytest.fixture
def local(opencode_bin: str) -> Iterator[LocalMachine]:  # noqa: ARG001  it is on the PATH there
    """An empty home on this machine, with the scripted model."""
    with require("local"), short_directory() as directory, local_machine(directory) as machine:
        yield machine


FURNISHED = ("shared_environment", "environment")
"""The fixtures that are one environment after the other; a module that shares its own asks for it by the first."""


TRANSPORTS = ("docker", "http", "k8s", "local", "netns", "podman", "ssh")

OUTSIDE = {"netns": netns_environment}
"""Environments of transports in other packages, on which the contract is tested."""

EVERYWHERE = {**ENVIRONMENTS, **OUTSIDE}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each environment in turn; those that a daemon must be started in or commands run in, unless `every_way_in`.

    With `one_of_each` those that are called as their transport is, where another way in takes time and shows nothing.
    """
    named = {name for mark in metafunc.definition.iter_markers("parametrize") for name in names_of(mark)}
    every = metafunc.definition.get_closest_marker("every_way_in")
    known = EVERYWHERE if metafunc.module.__name__.startswith("tests.contract") else ENVIRONMENTS
    names = [name for name, make in sorted(known.items()) if every or is_complete(name, make)]
    if few := metafunc.definition.get_closest_marker("one_of_each"):
        wanted = {*TRANSPORTS, *few.kwargs.get("also", ())} - {*few.kwargs.get("without", ())}
        names = [name for name in names if name in wanted]
    fixture = next((name for name in FURNISHED if name in metafunc.fixturenames), None)
    if fixture and fixture not in named:
        metafunc.parametrize(fixture, names, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `make test-quick`."""
    mark_quick(items)


def names_of(mark: pytest.Mark) -> list[str]:
    """What a test is given by a mark of its own: one name, several with commas, or a sequence of them."""
    names = mark.args[0]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def is_complete(name: str, make: Make) -> bool:
    """Whether all that is promised is tested there."""
    return starts_daemons(make) and name not in VARIANTS


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """The environment of that name; nobody has worked in it, and this process sees what the user's laptop has."""
    with in_front_of(request) as environment:
        yield environment


@pytest.fixture(scope="module")
def shared_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """The same for all tests of a module, where none has one of its own; their `environment` is then this.

    It is for tests to which it does not matter what the others have done there.
    """
    with in_front_of(request) as environment:
        yield environment


@contextmanager
def in_front_of(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """The environment that was asked for, with the variables of a laptop that may use it."""
    with EVERYWHERE[request.param](request) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.variables.items():
            patch.setenv(name, value)
        yield environment
        Laptop(environment).end_links()  # one would go on to the next environment of this name


@contextmanager
def _lookup_error_means_unavailable() -> Iterator[None]:
    try:
        yield
    except LookupError as reason:
        raise Unavailable(str(reason)) from None
