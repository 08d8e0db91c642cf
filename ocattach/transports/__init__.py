"""Transports, one module per kind of environment, imported on first use because their SDKs are slow to import."""

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.registry import find_scheme, load_class
from ocattach.transports.base import Ask, TransportHandler


def handler_class(scheme: str) -> type[TransportHandler]:
    """The handler class of a transport.

    Raises UsageError for an unknown transport, and for one of another package that cannot be used.
    """
    found: type[TransportHandler] = load_class(scheme, find_scheme(scheme).handler, TransportHandler)
    return found


def open_handler(spec: ConnectionSpec, *, ask: Ask, timeout: float) -> TransportHandler:
    """The handler for a connection; nothing is dialled yet."""
    return handler_class(spec.target.scheme)(spec, ask=ask, timeout=timeout)
