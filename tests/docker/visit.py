"""What a client does with a container's daemon, as a program that can run on the machine of the engine.

python -m tests.docker.visit ENTRY: prints the route to the daemon that runs, and what that answered.
"""

import json
import sys

from ocattach.config.spec import ConnectionSpec
from ocattach.opencode.api import DaemonClient
from ocattach.transports import open_handler
from ocattach.transports.base import TransportHandler
from tests.environments.environment import ask_nobody


def visit(handler: TransportHandler) -> dict[str, str]:
    """The route to the daemon that runs, and its version."""
    handler.check_available()
    daemon = handler.check_daemon_running().daemon
    assert daemon is not None
    with handler.connect(daemon.port) as tunnel:
        client = DaemonClient(tunnel.url, username=daemon.username, password=daemon.password)
        return {"route": tunnel.route_name, "version": client.await_version(timeout=60)}


if __name__ == "__main__":
    spec = ConnectionSpec.from_entry(json.loads(sys.argv[1]))
    with open_handler(spec, ask=ask_nobody, timeout=30) as handler:
        print(json.dumps(visit(handler)))  # noqa: T201
