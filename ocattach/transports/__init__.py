"""Transports, one module per kind of environment, imported on first use because SDKs are slow to import."""

import threading

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.registry import find_scheme, load_class
from ocattach.transports.base import Ask, TransportHandler

LOADING = threading.Lock()
"""One package at a time: some hide a module from the SDK that they import, which no other thread may need just then."""


def handler_class(scheme: str) -> type[TransportHandler]:
    """Return a scheme's handler class.

    Raises UsageError for an unknown scheme, and for one whose package cannot be loaded.
    """
    with LOADING:
        found: type[TransportHandler] = load_class(scheme, find_scheme(scheme).handler, TransportHandler)
    return found


def open_handler(spec: ConnectionSpec, *, ask: Ask, timeout: float) -> TransportHandler:
    """Return a handler for a connection. Nothing is dialled yet."""
    return handler_class(spec.target.scheme)(spec, ask=ask, timeout=timeout)
