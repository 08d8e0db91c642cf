"""The table of schemes, and the loader of the classes in it."""

from functools import reduce
from importlib import import_module
from typing import Any, NamedTuple

from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets.base import Target
from ocattach.errors import UsageError


class Scheme(NamedTuple):
    """The two classes of a transport, each as "module:Class", so that the table imports neither."""

    target: str
    """The subclass of `Target`."""

    handler: str
    """The subclass of `TransportHandler`."""

    check: str = ""
    """The step of `ocattach doctor` that checks what its connections need on this machine, as "module:function"."""


SCHEMES = {
    "docker": Scheme(
        target="ocattach.config.targets.container:DockerTarget",
        handler="ocattach.transports.containers.docker:DockerTransport",
        check="ocattach.doctor.machine:docker",
    ),
    "podman": Scheme(
        target="ocattach.config.targets.container:PodmanTarget",
        handler="ocattach.transports.containers.podman:PodmanTransport",
        check="ocattach.doctor.machine:podman",
    ),
    "ssh": Scheme(
        target="ocattach.config.targets.ssh:SSHTarget",
        handler="ocattach.transports.ssh.transport:SSHTransport",
        check="ocattach.doctor.machine:ssh",
    ),
    "k8s": Scheme(
        target="ocattach.config.targets.kubernetes:KubernetesTarget",
        handler="ocattach.transports.kubernetes.transport:KubernetesTransport",
        check="ocattach.doctor.machine:kubernetes",
    ),
    "http": Scheme(
        target="ocattach.config.targets.http:HTTPTarget",
        handler="ocattach.transports.http.transport:HTTPTransport",
    ),
    "local": Scheme(
        target="ocattach.config.targets.local:LocalTarget", handler="ocattach.transports.local:LocalTransport"
    ),
}
"""The transports that ocattach includes."""

URI_SCHEMES = {"https": "http"}
"""Schemes of URIs whose transport has another name."""

ENTRY_POINT_GROUP = "ocattach.transports"


def transports() -> tuple[str, ...]:
    """The names of the transports that ocattach includes."""
    return tuple(SCHEMES)


def target_class(scheme: str) -> type[Target]:
    """The target class of a transport.

    Raises UsageError for an unknown transport, and for one of another package that cannot be loaded.
    """
    found: type[Target] = load_class(scheme, find_scheme(scheme).target, Target)
    return found


def find_scheme(scheme: str) -> Scheme:
    """The row of a transport of ocattach, or of one that another package registers as an entry point.

    An entry point refers to a `TransportHandler` with its `Target` class as the attribute `target`.
    Raises UsageError for an unknown transport, with similar names.
    """
    if scheme in SCHEMES:
        return SCHEMES[scheme]
    from importlib.metadata import entry_points  # noqa: PLC0415 - warm; 30 ms, for plugins only

    registered = entry_points(group=ENTRY_POINT_GROUP)
    if scheme not in registered.names:
        known = sorted({*SCHEMES, *URI_SCHEMES, *registered.names})
        raise UsageError(f"Unknown transport {scheme!r}", hint=did_you_mean(scheme, known))
    handler = registered[scheme].value.partition("[")[0].strip()
    return Scheme(target=f"{handler}.target", handler=handler)


def load_class(scheme: str, location: str, base: type) -> Any:
    """Import the subclass of `base` at a location of the table. Raises UsageError if one of a plugin fails to load."""
    try:
        found = resolve(location)
    except Exception as error:
        if scheme in SCHEMES:
            raise
        reason = str(error) if isinstance(error, ImportError | AttributeError) else repr(error)
        raise unusable(scheme, reason) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise unusable(scheme, f"{location} is not a subclass of {base.__name__}")
    return found


def resolve(location: str) -> object:
    """The object at "module:name.name"."""
    module, _, names = location.partition(":")
    return reduce(getattr, names.split("."), import_module(module))


def unusable(scheme: str, reason: str) -> UsageError:
    """The error for a transport of another package, naming its entry point."""
    entry_point = find_scheme(scheme).handler
    return UsageError(f"Cannot load the transport {scheme!r} from the entry point {entry_point}: {reason}")
