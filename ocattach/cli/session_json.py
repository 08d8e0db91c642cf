"""A session in JSON documents."""

from typing import Any

from ocattach.sessions.record import Session


def session_json(session: Session) -> dict[str, Any]:
    """The keys that identify a session, as JSON."""
    return {
        "id": session.id,
        "origin": session.origin,
        "environment": session.environment,
        "title": session.title,
        "directory": session.directory,
    }
