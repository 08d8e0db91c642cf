"""The ports of a row of `--status --watch`: listed in a line, and forwarded until the watch ends."""

import os
from collections.abc import Callable
from typing import NoReturn

from ocattach.cli.commands.ports import program
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DefectError
from ocattach.link.client.forwards import forward, list_ports
from ocattach.link.messages import Foreground

TIMEOUT = 30


def ports_line(spec: ConnectionSpec, name: str, foreground: Foreground) -> str:
    """Return the ports on which programs listen in an environment, with the programs."""
    found = list_ports(spec, foreground, os.environ, timeout=TIMEOUT)
    shown = [f"{each['port']} {program(each)}" for each in found if not each["opencode"]]
    return f"Ports of {name}: {', '.join(shown)}" if shown else f"No program listens in {name}"


def forward_port(
    spec: ConnectionSpec, name: str, port: int, foreground: Foreground, show: Callable[[str], object]
) -> NoReturn:
    """Forward a port, and show its URL once it is open. Raises the error that ends it."""
    forward(
        spec,
        [(None, port)],
        foreground,
        os.environ,
        timeout=TIMEOUT,
        on_open=lambda opened: show(
            f"http://127.0.0.1:{opened[0].local} is port {port} of {name}, until you quit"
        ),
    )
    raise DefectError("A forwarded port ended without an error")
