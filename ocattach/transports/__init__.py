"""Transports, one module per kind of environment, imported on first use because their SDKs are slow to import."""

from importlib import import_module

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import UsageError
from ocattach.transports.base import Ask, TransportHandler

HANDLERS = {
    "docker": "ocattach.transports.containers.docker:DockerTransport",
    "http": "ocattach.transports.http.transport:HTTPTransport",
    "k8s": "ocattach.transports.kubernetes.transport:KubernetesTransport",
    "local": "ocattach.transports.local:LocalTransport",
    "podman": "ocattach.transports.containers.podman:PodmanTransport",
    "ssh": "ocattach.transports.ssh.transport:SSHTransport",
}

ENTRY_POINT_GROUP = "ocattach.transports"


def handler_class(scheme: str) -> type[TransportHandler]:
    """The handler for a URI scheme: ours, or one that another package registers as an entry point.

    Raises UsageError for a scheme that nobody handles.
    """
    location = HANDLERS.get(scheme)
    if location is None:
        return registered_handler_class(scheme)
    module, _, name = location.partition(":")
    handler: type[TransportHandler] = getattr(import_module(module), name)
    return handler


def registered_handler_class(scheme: str) -> type[TransportHandler]:
    """A handler of another package."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and rarely needed

    for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=scheme):
        handler: type[TransportHandler] = entry_point.load()
        return handler
    raise UsageError(
        f"This version of ocattach has no transport for {scheme}://",
        hint=f"It has: {', '.join(sorted(HANDLERS))}",
    )


def open_handler(spec: ConnectionSpec, *, ask: Ask, timeout: float) -> TransportHandler:
    """The handler for a connection; nothing is dialled yet."""
    return handler_class(spec.target.scheme)(spec, ask=ask, timeout=timeout)
