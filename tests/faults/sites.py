"""The sites by name: each on an engine of its own, since engines are killed here."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import docker
import docker.errors
import psutil
import pytest

from tests.environments import ENVIRONMENTS, Environment
from tests.environments.container import processes_of_container, two_processes_of
from tests.environments.environment import programs
from tests.faults.site import Site, command_line
from tests.rigs.availability import Unavailable
from tests.rigs.container import ContainerRig
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.furnished import Furnished
from tests.rigs.kubernetes import KubernetesCluster
from tests.rigs.kubernetes_pods import PodRig
from tests.rigs.kubernetes_workloads import WorkloadRig
from tests.rigs.local import user_environment
from tests.rigs.machine import USER, Machine
from tests.rigs.namespaces import Confined, Network
from tests.rigs.opencode import opencode_bin
from tests.rigs.podman import PodmanEngine, RootlessPodmanEngine
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until

HOME = "/root"


class ContainerSite(Site):
    """A container; it may be stopped and started, and so may its engine."""

    def __init__(self, name: str, environment: Environment, engine: Any, stack: ExitStack) -> None:
        super().__init__(name, environment, engine, stack)
        self._beginning = command_lines_of(self.container)

    @property
    def container(self) -> ContainerRig:
        """The container, as of now."""
        engine = self.engine
        return ContainerRig(engine.client.containers.get("frontend-app"), engine.daemon)

    @property
    def network(self) -> Network:
        return self.container.network

    def processes(self) -> list[psutil.Process]:
        return others_of(self.container, self._beginning)

    def exec_sessions(self) -> list[str]:
        if self.name.startswith("podman") and not self.relays():
            # It remembers those that have ended for minutes: as running, where the service that ran them was killed.
            return []
        container = self.container.container
        api = self.engine.client.api
        known = container.attrs.get("ExecIDs") or []
        return [name for name in known if is_running(api, name)]

    @property
    def home(self) -> Path:
        return self.container.path(HOME)

    def restored(self) -> None:
        self.stack.enter_context(self.container.serve_model())


class MachineSite(Site):
    """A machine with sshd."""

    connections_are_tcp = True

    @property
    def machine(self) -> Machine:
        """The machine."""
        machine: Machine = self.engine[self.environment.entry["host"]]
        return machine

    def sessions(self) -> list[psutil.Process]:
        return sshd_sessions(self.machine)

    @property
    def confined(self) -> Confined:
        """Its namespaces."""
        return self.machine.confined


class PodSite(Site):
    """A pod of a Deployment, whose home outlives it."""

    connections_are_tcp = True

    def __init__(
        self, environment: Environment, cluster: KubernetesCluster, workload: WorkloadRig, stack: ExitStack
    ) -> None:
        super().__init__("k8s", environment, cluster, stack)
        self.workload = workload
        self._pod = workload.pod
        self._beginning = command_lines_of(self._pod)

    @property
    def confined(self) -> Confined:
        """The node's namespaces, in which the whole cluster is."""
        machine: Confined = self.engine.machine
        return machine

    @property
    def pod(self) -> PodRig:
        """The pod that is ready; asked anew only when the one before has gone."""
        try:
            if self._pod.process.exists():
                return self._pod
        except (OSError, RuntimeError):
            pass
        self._pod = self.workload.pod
        return self._pod

    @property
    def network(self) -> Network:
        return self.pod.network

    def processes(self) -> list[psutil.Process]:
        return others_of(self.pod, self._beginning)


def is_running(api: docker.APIClient, name: str) -> bool:
    """Whether an engine says that an exec session runs."""
    try:
        return bool(api.exec_inspect(name)["Running"])
    except docker.errors.NotFound:
        return False


def namespace_of(process: psutil.Process) -> Path | None:
    """The namespace of a process's number; None where it has ended."""
    try:
        return Path(f"/proc/{process.pid}/ns/pid").readlink()
    except OSError:
        return None


def command_lines_of(container: Furnished) -> set[tuple[str, ...]]:
    """What a container runs while nobody has anything to do with it."""
    begun = wait_until(lambda: two_processes_of(container), "the container's program to start")
    return {tuple(command_line(process)) for process in begun}


def others_of(container: Furnished, known: set[tuple[str, ...]]) -> list[psutil.Process]:
    """What runs in a container besides what is known."""
    found = processes_of_container(container)
    return [process for process in found if (argv := tuple(command_line(process))) and argv not in known]


class Engines:
    """Gives environments the engines that they ask pytest for, each made for this site alone."""

    MAKE: Mapping[str, Callable[[Any], Any]] = {
        "docker_engine": lambda directory: DockerEngine(directory, apart=True),
        "rootless_podman_engine": lambda directory: RootlessPodmanEngine(directory, apart=True),
        "podman_engine": lambda directory: PodmanEngine(directory, apart=True),
        "ssh_machines": lambda directory: SSHMachines(directory, ["main", "nofwd"]),
    }

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.engine: Any = None

    def getfixturevalue(self, name: str) -> Any:
        """An engine, by the name of the tests' fixture."""
        if name == "opencode_bin":
            return opencode_bin()
        directory = self._stack.enter_context(short_directory())
        self.engine = self._stack.enter_context(self.MAKE[name](directory))
        return self.engine


def open_environment(kind: type[Site], name: str, stack: ExitStack) -> Site:
    """The site of one of the tests' environments."""
    engines = Engines(stack)
    environment = stack.enter_context(ENVIRONMENTS[name](cast("pytest.FixtureRequest", engines)))
    return kind(name, environment, engines.engine, stack)


_numbers = itertools.count(1)


def open_cluster(name: str, stack: ExitStack) -> Site:
    """A Deployment of a cluster, with a home on the node's disk."""
    directory, laptop = (stack.enter_context(short_directory()) for _ in range(2))
    cluster = stack.enter_context(KubernetesCluster(directory))
    home = directory / "home"
    home.mkdir()
    workload = stack.enter_context(
        cluster.deployment(f"frontend-{next(_numbers)}", model=True, mounts={HOME: home})
    )
    where = {"transport": name, "context": cluster.context, "namespace": cluster.default_namespace}
    pod = workload.pod
    environment = Environment(
        entry={**where, "deployment": workload.name},
        variables={
            **user_environment(laptop, programs(laptop)),
            "KUBECONFIG": str(cluster.kubeconfig),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), cluster.cable.address),
        },
        workdir="/work",
        home=home,
        model=pod.model or stack.enter_context(pod.serve_model()),
        network=pod.network,
        processes=list,
        connections=cluster.connections,
        route="relay",
        laptop=laptop,
    )
    return PodSite(environment, cluster, workload, stack)


def _environment(kind: type[Site]) -> Callable[[str, ExitStack], Site]:
    return lambda name, stack: open_environment(kind, name, stack)


SITES: Mapping[str, Callable[[str, ExitStack], Site]] = {
    "local": _environment(Site),
    "docker": _environment(ContainerSite),
    "podman": _environment(ContainerSite),
    "podman-rootless": _environment(ContainerSite),
    "ssh": _environment(MachineSite),
    "k8s": open_cluster,
}


@contextmanager
def open_site(name: str) -> Iterator[Site]:
    """A site with its engine, all of which ends with it. Raises Unavailable."""
    with ExitStack() as stack:
        try:
            opencode_bin()
        except LookupError as reason:
            raise Unavailable(str(reason)) from None
        site = SITES[name](name, stack)
        stack.callback(site.laptop.end_links)
        yield site


def sshd_sessions(machine: Machine) -> list[psutil.Process]:
    """What a machine's sshd has for each client that is logged in."""
    namespace = Path(f"/proc/{machine.confined.pid}/ns/pid").readlink()
    found = [p for p in psutil.process_iter() if f"sshd: {USER}" in " ".join(command_line(p))]
    return [p for p in found if namespace_of(p) == namespace]
