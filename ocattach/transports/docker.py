"""Docker containers."""

import os

from ocattach.config.targets.container import DockerTarget
from ocattach.errors import EnvironmentNotFoundError
from ocattach.transports.container import ContainerTransport
from ocattach.transports.engine import EngineAddress

DEFAULT_URL = "unix:///var/run/docker.sock"


class DockerTransport(ContainerTransport):
    """A container of a Docker engine: the connection's own, else what DOCKER_HOST and its companions say."""

    scheme = "docker"
    engine_name = "Docker"
    program = "docker"
    target_class = DockerTarget

    def engine_address(self) -> EngineAddress:
        if self.target.context:
            return context_address(self.target.context)
        url = self.target.host or os.environ.get("DOCKER_HOST") or DEFAULT_URL
        verifies = os.environ.get("DOCKER_TLS_VERIFY")
        folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")  # noqa: PTH111
        return EngineAddress(url, cert_path=folder if verifies else None)


def context_address(name: str) -> EngineAddress:
    """Where the engine of a docker context is."""
    from docker.context import ContextAPI  # noqa: PLC0415 - only where a context is named

    context = ContextAPI.get_context(name)
    if context is None:
        raise EnvironmentNotFoundError(f"There is no docker context {name}", hint="Try: docker context ls")
    return EngineAddress(str(context.Host))
