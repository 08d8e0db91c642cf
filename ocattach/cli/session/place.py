"""A session by its id alone: where it is, and requests to the daemon there, without starting one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocattach.cli.approval import require_trust
from ocattach.cli.terminal import Person
from ocattach.config.files.paths import state_directory
from ocattach.errors import DaemonNotRunningError, SessionNotFoundError
from ocattach.link.client.access import open_client
from ocattach.link.client.direct import asker
from ocattach.sessions.index import index_file
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.store import Index
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import everywhere
from ocattach.survey.find import FoundSession, find

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient

FIND_SECONDS = 20.0
"""How long it may take to find who has a session, and then to reach it."""


def place_of(session: str) -> FoundSession:
    """Where a session is. Raises SessionNotFoundError with the next step, UsageError for what is no id."""
    places = everywhere(cwd=Path.cwd(), environ=os.environ)
    place = find(session, places.entries, environ=os.environ, timeout=FIND_SECONDS)
    return FoundSession(place.spec, Names(places.specs, os.environ).named(place.session))


@contextmanager
def client_at(place: FoundSession) -> Iterator["DaemonClient"]:
    """Requests to the daemon of a session's environment; the person is asked where that needs an answer.

    Raises DaemonNotRunningError with the command that starts one, and NotTrustedError.
    """
    if place.spec.source.kind == "project":
        require_trust(place.spec, trust=False, environ=os.environ)
    session = place.session.id
    try:
        with open_client(place.spec, environ=os.environ, ask=asker(Person()), timeout=FIND_SECONDS) as client:
            yield client
    except SessionNotFoundError:
        forget(session)
        raise
    except DaemonNotRunningError as error:
        error.hint = f"Start one, with this session: ocattach session open {session}"
        raise


def forget(session: str) -> None:
    """Have the index forget a session that is gone."""
    with suppress(IndexUnusableError), Index(index_file(state_directory(os.environ))) as index:
        index.forget([session])


def describe(place: FoundSession) -> dict[str, Any]:
    """A session and where it is, for scripts."""
    return {**describe_session(place.session), "name": place.spec.name, "uri": place.spec.display()}


def describe_session(session: Session) -> dict[str, Any]:
    """What says which session is meant."""
    return {
        "id": session.id,
        "origin": session.origin,
        "environment": session.environment,
        "title": session.title,
        "directory": session.directory,
    }
