"""Which environment is meant, one class per scheme; only the module of the scheme at hand is imported."""

from importlib import import_module
from typing import TYPE_CHECKING

from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets.base import Target
from ocattach.errors import UsageError

if TYPE_CHECKING:
    from ocattach.config.targets.container import DockerTarget, PodmanTarget
    from ocattach.config.targets.http import HTTPTarget
    from ocattach.config.targets.kubernetes import KubernetesTarget
    from ocattach.config.targets.local import LocalTarget
    from ocattach.config.targets.ssh import SSHTarget

__all__ = [
    "DockerTarget",
    "HTTPTarget",
    "KubernetesTarget",
    "LocalTarget",
    "PodmanTarget",
    "SSHTarget",
    "Target",
    "target_class",
    "transports",
]

TARGETS = {
    "docker": ("container", "DockerTarget"),
    "http": ("http", "HTTPTarget"),
    "k8s": ("kubernetes", "KubernetesTarget"),
    "local": ("local", "LocalTarget"),
    "podman": ("container", "PodmanTarget"),
    "ssh": ("ssh", "SSHTarget"),
}

URI_SCHEMES = {"https": "http"}
"""Schemes of URIs that are not the name of their transport."""

ENTRY_POINT_GROUP = "ocattach.transports"


def target_class(scheme: str) -> type[Target]:
    """The class for a transport: ours, or that of a transport which another package registers.

    Raises UsageError for a transport that nobody has, naming the closest.
    """
    if scheme in TARGETS:
        return built_in(*TARGETS[scheme])
    return registered_target_class(scheme)


def built_in(module: str, name: str) -> type[Target]:
    """A class of ours."""
    found: type[Target] = getattr(import_module(f"ocattach.config.targets.{module}"), name)
    return found


def registered_target_class(scheme: str) -> type[Target]:
    """The `target` of a TransportHandler that another package registers as an entry point."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and rarely needed

    registered = entry_points(group=ENTRY_POINT_GROUP)
    if scheme not in registered.names:
        known = sorted({*TARGETS, *URI_SCHEMES, *registered.names})
        raise UsageError(f"There is no transport {scheme!r}", hint=did_you_mean(scheme, known))
    entry_point = registered[scheme]
    try:
        found = entry_point.load().target
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"The transport {scheme!r} of {entry_point.value} cannot be used: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Target)):
        raise UsageError(
            f"The transport {scheme!r} of {entry_point.value} has a target that is no Target class"
        )
    return found


def transports() -> tuple[str, ...]:
    """The transports that come with ocattach."""
    return tuple(TARGETS)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> type[Target]:
        """Import one of our classes when it is first asked for."""
        for module, class_name in TARGETS.values():
            if class_name == name:
                return built_in(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
