"""Finds the environment that has a session. Starts no daemon."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import DaemonNotRunningError, SessionNotFoundError, UsageError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import SessionClient, checked
from ocattach.printable import command_line
from ocattach.sessions.index import index_file
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Index, IndexedEnvironment
from ocattach.sessions.origins import origin_for
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import ask_each
from ocattach.survey.stored import stored_session

SUGGESTED, SEARCHED = 3, 2000
"""How many ids are suggested for one that is cut off, and how many of the latest sessions are searched for them."""


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session, and the connection that leads to it."""

    spec: ConnectionSpec
    """Settled, with its own working directory."""

    session: Session


def find(
    session: str, entries: Sequence[SurveyedConnection], *, environ: Mapping[str, str], timeout: float
) -> FoundSession:
    """Return where a session is, from the index or else by querying all environments.

    Raises SessionNotFoundError, which names the environments that did not answer, and UsageError for an invalid id.
    """
    known = find_in_index(checked(session), entries, environ)
    return known or query_environments(session, entries, environ=environ, timeout=timeout)


def query_environments(
    session: str, entries: Sequence[SurveyedConnection], *, environ: Mapping[str, str], timeout: float
) -> FoundSession:
    """Return where a session is, by querying all environments. Raises SessionNotFoundError."""

    def question(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> Session | None:
        try:
            content = SessionClient(client).get(session)
        except SessionNotFoundError:
            return None
        return Session.from_api(content, environment=environment_id(specs[0], environ))

    silent: list[str] = []
    for result in ask_each(entries, question, environ=environ, timeout=timeout):
        found = result.answer
        if isinstance(result.error, DaemonNotRunningError):
            content = stored_session(session, result.specs[0], environ)
            found = Session.from_api(content, environment=environment_id(result.specs[0], environ))
        if found is not None:
            return FoundSession(leading_to(result.specs, found.directory), found)
        if result.error is not None:
            silent += [name for spec in result.specs if (name := spec.name)]
    raise not_found(session, silent, similar(session, environ))


def find_in_index(
    session: str, entries: Sequence[SurveyedConnection], environ: Mapping[str, str]
) -> FoundSession | None:
    """Return where the index has a session; None if it has not, or if no connection leads there any more."""
    with suppress(IndexUnusableError), Index(index_file(state_directory(environ))) as index:
        for known in index.find(session):
            environment = known.session.environment
            specs = [entry.spec for entry in entries if environment_id(entry.spec, environ) == environment]
            if not specs and (asked := index.environments().get(environment)):
                specs = by_uri(asked, environ)
            if specs:
                return FoundSession(leading_to(specs, known.session.directory), known.session)
    return None


def by_uri(asked: IndexedEnvironment, environ: Mapping[str, str]) -> list[ConnectionSpec]:
    """Return a connection made from the stored URI of an environment; empty if that now means another one."""
    try:
        spec = ConnectionSpec(target=parse_uri(asked.uri).target).pinned(environ)
    except UsageError:
        return []
    return [spec] if environment_id(spec, environ) == asked.id else []


def similar(session: str, environ: Mapping[str, str]) -> list[str]:
    """Return ids in the index that begin with this text, which may be an id that was cut off."""
    with suppress(IndexUnusableError), Index(index_file(state_directory(environ))) as index:
        known = index.latest(Wanted(children=True), limit=SEARCHED)
        return [each.session.id for each in known if each.session.id.startswith(session)][:SUGGESTED]
    return []


def leading_to(specs: Sequence[ConnectionSpec], directory: str) -> ConnectionSpec:
    """Return the connection, of several to one environment, whose working directory contains a directory."""
    origin = origin_for(directory, specs)
    return next((spec for spec in specs if spec.name == origin), specs[0])


def not_found(thing: str, silent: Sequence[str], similar: Sequence[str] = ()) -> SessionNotFoundError:
    """Return the error for a session or permission that was not found; `silent` connections did not answer."""
    if similar:
        return SessionNotFoundError(
            f"{thing} was not found in any environment", hint=f"Did you mean {' or '.join(similar)}?"
        )
    if not silent:
        return SessionNotFoundError(
            f"{thing} was not found in any environment", hint="List all sessions: ocattach session list"
        )
    return SessionNotFoundError(
        f"{thing} was not found in any environment that answered; no answer from {', '.join(silent)}",
        hint=f"Show their state: {command_line('ocattach', '--status', *silent)}",
    )
