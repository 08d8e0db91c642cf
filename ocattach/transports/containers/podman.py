"""Podman containers, rootful or rootless."""

import os
from pathlib import Path

from ocattach.config.files.paths import runtime_directory
from ocattach.config.targets.container import PodmanTarget
from ocattach.config.targets.podman_config import read_connections
from ocattach.errors import EnvironmentNotFoundError, UnreachableError
from ocattach.presence import exists
from ocattach.programs import which
from ocattach.transports.containers.engine_streams import EngineAddress
from ocattach.transports.containers.podman_service import PodmanService, listens
from ocattach.transports.containers.transport import ContainerTransport

ROOT_SOCKET = Path("/run/podman/podman.sock")
START_SECONDS = 30


class PodmanTransport(ContainerTransport):
    """A container of the Podman service that the connection names, else of the user's own, started if necessary.

    The query that podman accepts in an address, such as `?secure=true`, is ignored.
    """

    scheme = "podman"
    engine_name = "Podman"
    program = "podman"
    target_class = PodmanTarget

    _service: PodmanService | None = None

    def engine_address(self) -> EngineAddress:
        target = self.target.pinned(os.environ)
        if target.host:
            key = os.environ.get("CONTAINER_SSHKEY")
            return EngineAddress(target.host.partition("?")[0], cert_path=target.cert_path, identity=key)
        if target.context:
            return destination_address(target.context)
        return self.own_address()

    def engine_place(self) -> tuple[str, tuple[str, ...]]:
        target = self.target.pinned(os.environ)
        if target.host:
            return target.host, ("--url", target.host)
        if target.context:
            address = destination_address(target.context)
            return f"{address.url} (connection {target.context})", ("--connection", target.context)
        return (
            f"{own_socket()}, or a podman service for the lifetime of the link if nothing listens there",
            (),
        )

    def own_address(self) -> EngineAddress:
        """Return the address of this user's service, which is started if necessary.

        Root and other users have separate containers, so root's service is no substitute, except without a podman
        program: then its socket was mounted for this purpose, as in a container.
        """
        own = own_socket()
        if listens(own):
            return EngineAddress(f"unix://{own}")
        program = which("podman")
        if program:
            self._service = PodmanService.start(
                program, at=runtime_directory(os.environ), timeout=min(START_SECONDS, self.timeout)
            )
            return EngineAddress(self._service.url)
        if exists(ROOT_SOCKET):
            return EngineAddress(f"unix://{ROOT_SOCKET}")
        read_connections(os.environ)  # raises the reason, if it could not be read
        raise UnreachableError(
            f"Podman not found: no podman on PATH, and no service at {own}",
            hint="Install podman, or name a service by CONTAINER_HOST, or by the connection's host or context",
        )

    def disconnect(self) -> None:
        super().disconnect()
        if self._service is not None:
            self._service.close()
            self._service = None


def own_socket() -> Path:
    """Return where the service of `systemctl [--user] start podman.socket` listens."""
    if os.geteuid() == 0:
        return ROOT_SOCKET
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return Path(runtime, "podman", "podman.sock")


def destination_address(name: str) -> EngineAddress:
    """Return the address of a named connection's service."""
    destination = read_connections(os.environ).destinations.get(name)
    if destination is None:
        raise EnvironmentNotFoundError(
            f"No podman connection {name}", hint="List the connections: podman system connection list"
        )
    return EngineAddress(
        destination.uri.partition("?")[0], identity=destination.identity, is_machine=destination.is_machine
    )
