"""The message that a TUI shows when it opens."""

from collections.abc import Iterator
from contextlib import suppress

from ocattach.errors import OcattachError
from ocattach.link.messages import waiting_notice
from ocattach.link.server.connection import DaemonConnection
from ocattach.link.sessions.listener import SessionEventListener
from ocattach.opencode.pending import read_request
from ocattach.opencode.sessions import SessionClient


def greeting(listener: SessionEventListener, connection: DaemonConnection) -> str:
    """Return the name of the environment, and what waits there for a person. Queries the daemon."""
    waiting = [*dict.fromkeys((*listener.feed.waiting, *asking_sessions(connection)))]
    notice = f". {waiting_notice(listener.environment_name, waiting)}" if waiting else ""
    return f"Connected to {listener.environment_name}{notice}"


def asking_sessions(connection: DaemonConnection) -> Iterator[str]:
    """Return the sessions with a pending request in the working directories; none if they cannot be queried.

    A link knows from events alone only those that began to wait while it was connected.
    """
    with suppress(OcattachError):
        client = SessionClient(connection.open_client(counts_as_loss=False))
        for directory in dict.fromkeys(connection.directories.values()):
            for content in client.pending(directory):
                if request := read_request(content, directory or ""):
                    yield request.session
