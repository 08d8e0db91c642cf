"""Docker containers."""

import os

from ocattach.config.targets.container import DockerTarget
from ocattach.config.targets.docker_config import DEFAULT_HOST, current_context, read_context
from ocattach.errors import EnvironmentNotFoundError
from ocattach.transports.containers.engine_streams import EngineAddress
from ocattach.transports.containers.transport import ContainerTransport


class DockerTransport(ContainerTransport):
    """A container of the engine that the connection names, else of the one that `docker` uses."""

    scheme = "docker"
    engine_name = "Docker"
    program = "docker"
    target_class = DockerTarget

    def connection_key(self) -> str:
        return repr((self.scheme, self.engine_address(), self.target.allow_plain_password))

    def engine_address(self) -> EngineAddress:
        target = self.target.pinned(os.environ)
        if target.context:
            return context_address(target.context)
        if target.host is None:
            current_context(os.environ)  # raises the reason, if it could not be read
        return EngineAddress(target.host or DEFAULT_HOST, cert_path=target.cert_path)

    def engine_place(self) -> tuple[str, tuple[str, ...]]:
        target = self.target.pinned(os.environ)
        if target.context:
            address = context_address(target.context)
            return f"{address.url} (context {target.context})", ("--context", target.context)
        host = target.host or DEFAULT_HOST
        return host, () if host == DEFAULT_HOST else ("--host", host)


def context_address(name: str) -> EngineAddress:
    """Return the address of a docker context's engine."""
    context = read_context(name, os.environ)
    if context is None:
        raise EnvironmentNotFoundError(
            f"No docker context {name}", hint="List the contexts: docker context ls"
        )
    return EngineAddress(context.host, context.cert_path, verifies=not context.skips_verification)
