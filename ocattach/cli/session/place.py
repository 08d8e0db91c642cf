"""Find a session by its id, and open a client to its daemon without starting one."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from ocattach.cli.approval import require_trust
from ocattach.cli.person import Person
from ocattach.cli.terminal import say
from ocattach.config.variables import working_directory
from ocattach.errors import DaemonNotRunningError, SessionNotFoundError
from ocattach.link.client.access import open_client
from ocattach.link.client.direct import asker
from ocattach.opencode.api import DaemonClient
from ocattach.printable import command_line
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.store import open_index
from ocattach.sessions.origins import Names
from ocattach.survey.everywhere import everywhere
from ocattach.survey.find import FIND_SECONDS, FoundSession, find


def place_of(session: str) -> FoundSession:
    """Find the environment of a session, and warn of others that report it too.

    Raises SessionNotFoundError, SessionConflictError, and UsageError for an invalid id.
    """
    places = everywhere(cwd=working_directory(), environ=os.environ)
    with Person().asking():
        place = find(session, places.entries, environ=os.environ, timeout=FIND_SECONDS)
    for other in place.others:
        say(f"! {other} reports {session} too; using {place.spec.title()}", colour="yellow")
    names = Names([*places.specs, place.spec], os.environ)
    return replace(place, session=names.named(place.session))


@contextmanager
def client_at(place: FoundSession) -> Iterator[DaemonClient]:
    """Open a client to the daemon of a session's environment; connecting may ask the user for a passphrase.

    A session that turns out to be deleted is removed from the index. Raises DaemonNotRunningError and NotTrustedError.
    """
    if place.spec.source.kind == "project":
        require_trust(place.spec, trust=False, environ=os.environ)
    try:
        person = Person()
        with ExitStack() as stack:
            with person.waiting(f"Connecting to {place.spec.title()}"):
                opened = open_client(place.spec, environ=os.environ, ask=asker(person), timeout=FIND_SECONDS)
                client = stack.enter_context(opened)
            yield client
    except SessionNotFoundError:
        forget(place)
        raise
    except DaemonNotRunningError as error:
        command = command_line("ocattach", "session", "open", place.session.id)
        hint = f"To start one with this session: {command}"
        raise DaemonNotRunningError(error.message, hint=hint) from error


def forget(place: FoundSession) -> None:
    """Remove a deleted session from the index."""
    with suppress(IndexUnusableError), open_index(os.environ) as index:
        index.forget([place.session.id], place.session.environment)


def place_json(place: FoundSession) -> dict[str, Any]:
    """A session and its connection, as JSON."""
    return {**place.session.identity_json(), "name": place.spec.name, "uri": place.spec.display()}
