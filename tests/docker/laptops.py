"""How these tests make a connection without the command line."""

import os
from typing import Any

from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.base import Ask
from ocattach.transports.command import CommandTransport
from tests.environments.environment import ask_nobody


def handler_for(container: str, *, ask: Ask = ask_nobody, **keys: Any) -> CommandTransport:
    """A handler for a container of an engine, by the keys of an entry and what this process's variables say."""
    spec = ConnectionSpec.from_entry({"transport": "docker", "container": container, **keys})
    handler = open_handler(spec.settled(os.environ), ask=ask, timeout=20)
    assert isinstance(handler, CommandTransport)
    return handler
