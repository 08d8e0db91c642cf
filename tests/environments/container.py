"""A container, whichever engine runs it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from tests.environments.environment import Environment, programs
from tests.rigs.container import ContainerRig
from tests.rigs.directories import short_directory
from tests.rigs.engine import ContainerEngine
from tests.rigs.furnished import Furnished
from tests.rigs.local import user_environment
from tests.rigs.model import ScriptedModel
from tests.rigs.opencode import opencode_config
from tests.rigs.processes import processes_in
from tests.rigs.waiting import wait_until


@contextmanager
def container_environment(
    scheme: str, engine: ContainerEngine, variables: Mapping[str, str], *, on_host: bool = False
) -> Iterator[Environment]:
    """A new container without any network, or on this machine's; the variables lead to its engine."""
    furnish = on_host_network if on_host else without_network
    with short_directory() as laptop, furnish(engine) as (container, model):
        # Its first process is the engine's init, which starts the image's own program a moment later.
        at_first = wait_until(lambda: two_processes_of(container), "the container's program to start")
        yield Environment(
            entry={"transport": scheme, "container": "frontend-app"},
            variables={**user_environment(laptop, programs(laptop)), **variables},
            workdir="/work",
            home=container.path("/root"),
            model=model,
            network=container.network,
            processes=lambda: [p for p in processes_of_container(container) if p not in at_first],
            connections=lambda: sum(call.endswith("/exec") for call in engine.calls()),
            route="direct" if on_host else "relay",
            missing={"transport": scheme, "container": "frontend-ap"},
            laptop=laptop,
        )


@contextmanager
def without_network(engine: ContainerEngine) -> Iterator[tuple[ContainerRig, ScriptedModel]]:
    """A container with a loopback of its own, and the model on that."""
    with engine.container("frontend-app", model=True) as container:
        assert container.model is not None
        yield container, container.model


@contextmanager
def on_host_network(engine: ContainerEngine) -> Iterator[tuple[ContainerRig, ScriptedModel]]:
    """A container on this machine's network, and the model on a port that is free there."""
    with ScriptedModel() as model, engine.container("frontend-app", network_mode="host") as container:
        container.write(container.config_path(), opencode_config(model.port))
        yield container, model


def processes_of_container(container: Furnished) -> list[psutil.Process]:
    """All that runs in a container."""
    return processes_in(str((container.process / "ns/pid").readlink()))


def two_processes_of(container: Furnished) -> list[psutil.Process] | None:
    """The processes of a container, once there are two of them and the second is itself."""
    found = processes_of_container(container)
    names = {process.name() for process in found}
    return found if len(found) == len(names) == 2 else None
