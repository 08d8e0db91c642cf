"""What a TUI shows when it opens: a message, and the requests that are pending."""

import logging

from ocattach.errors import OcattachError
from ocattach.link.messages import waiting_notice
from ocattach.link.server.connection import DaemonConnection
from ocattach.link.sessions.listener import SessionEventListener
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import read_request
from ocattach.opencode.sessions import SessionClient
from ocattach.opencode.tui.missed import Event, event
from ocattach.opencode.tui.resumer import Greeting

QUERY_SECONDS = 10.0
"""Time for each request. The TUI has just made a dozen, for which the daemon may first load the directory."""

log = logging.getLogger(__name__)


def greeting(listener: SessionEventListener, connection: DaemonConnection) -> Greeting:
    """Return the name of the environment, and what waits there for a person. Queries the daemon.

    A link knows from events alone only the sessions that began to wait while it was connected.
    """
    found: list[tuple[str, str, Event]] = []
    requests: dict[str, Event] | None = None
    directories = list(dict.fromkeys(connection.directories.values()))
    try:
        client = connection.open_client(QUERY_SECONDS, counts_as_loss=False)
        for directory in directories:
            found += pending_events(client, directory)
        requests = {identifier: asked for _, identifier, asked in found} if directories else None
    except OcattachError as error:
        log.warning("Cannot tell a TUI what waits for a person: %s", error)
    waiting = [*dict.fromkeys((*listener.feed.waiting, *(session for session, _, _ in found)))]
    notice = f". {waiting_notice(listener.environment_name, waiting)}" if waiting else ""
    return Greeting(f"Connected to {listener.environment_name}{notice}", requests)


def pending_events(client: DaemonClient, directory: str | None) -> list[tuple[str, str, Event]]:
    """Return the session and id of each pending request of a directory, and the event that announces it."""
    found = []
    daemon = SessionClient(client)
    for content in daemon.pending(directory):
        request = read_request(content, directory or "")
        if request is not None:
            where = directory or daemon.get(request.session).get("directory")
            asked = event(f"{request.kind}.asked", content, {"directory": where})
            found.append((request.session, request.id, asked))
    return found
