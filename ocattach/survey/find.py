"""Find the environment that a session is in; starts nothing."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import (
    DaemonNotRunningError,
    SessionNotFoundError,
    UsageError,
)
from ocattach.sessions.environment import origin_for
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Asked, Index
from ocattach.sessions.names import index_file
from ocattach.sessions.record import Session
from ocattach.survey.entry import Entry
from ocattach.survey.fanout import ask_each
from ocattach.survey.stored import stored_session

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient


SHOWN, LOOKED_AT = 3, 2000
"""Sessions that are named because their ids are alike, and those that are looked at for it, the latest first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A session, and the connection that leads to it."""

    spec: ConnectionSpec
    """As links know it: pinned, with its own directory."""

    session: Session


def find(session: str, entries: Sequence[Entry], *, environ: Mapping[str, str], timeout: float) -> Place:
    """The environment that has a session: the one that the index knows, else as `locate`."""
    from ocattach.opencode.sessions import checked  # noqa: PLC0415 - HTTP: for who dials

    known = remembered(checked(session), entries, environ)
    return known or locate(session, entries, environ=environ, timeout=timeout)


def locate(session: str, entries: Sequence[Entry], *, environ: Mapping[str, str], timeout: float) -> Place:
    """The environment that has a session, of those that the entries lead to.

    Raises SessionNotFoundError, which names the environments that could not be asked.
    """
    from ocattach.opencode.sessions import SessionClient  # noqa: PLC0415 - HTTP: for who dials

    def question(client: "DaemonClient", specs: Sequence[ConnectionSpec]) -> Session | None:
        try:
            content = SessionClient(client).get(session)
        except SessionNotFoundError:
            return None
        return Session.from_api(content, environment=environment_id(specs[0], environ))

    unasked: list[str] = []
    for told in ask_each(entries, question, environ=environ, timeout=timeout):
        found = told.answer
        if isinstance(told.error, DaemonNotRunningError):
            content = stored_session(session, told.specs[0], environ)
            found = Session.from_api(content, environment=environment_id(told.specs[0], environ))
        if found is not None:
            return Place(leading_to(told.specs, found.directory), found)
        if told.error is not None:
            unasked += [name for spec in told.specs if (name := spec.name)]
    raise not_found(session, unasked, similar(session, environ))


def remembered(session: str, entries: Sequence[Entry], environ: Mapping[str, str]) -> Place | None:
    """Where the index has a session; None where it does not, and where nothing leads there any more."""
    with suppress(IndexUnusableError), Index(index_file(state_directory(environ))) as index:
        for known in index.find(session):
            environment = known.session.environment
            specs = [entry.spec for entry in entries if environment_id(entry.spec, environ) == environment]
            if not specs and (asked := index.environments().get(environment)):
                specs = by_uri(asked, environ)
            if specs:
                return Place(leading_to(specs, known.session.directory), known.session)
    return None


def by_uri(asked: Asked, environ: Mapping[str, str]) -> list[ConnectionSpec]:
    """An environment that has no name, by the URI under which it was used; none where that is another one by now."""
    try:
        spec = ConnectionSpec(target=parse_uri(asked.uri).target).pinned(environ)
    except UsageError:
        return []
    return [spec] if environment_id(spec, environ) == asked.id else []


def similar(session: str, environ: Mapping[str, str]) -> list[str]:
    """The sessions in the index whose id begins so: what was copied may have been cut off."""
    with suppress(IndexUnusableError), Index(index_file(state_directory(environ))) as index:
        known = index.latest(Wanted(children=True), limit=LOOKED_AT)
        return [each.session.id for each in known if each.session.id.startswith(session)][:SHOWN]
    return []


def leading_to(specs: Sequence[ConnectionSpec], directory: str) -> ConnectionSpec:
    """Of the connections to one environment, the one whose workdir holds a directory."""
    origin = origin_for(directory, specs)
    return next((spec for spec in specs if spec.name == origin), specs[0])


def not_found(thing: str, unasked: Sequence[str], similar: Sequence[str] = ()) -> SessionNotFoundError:
    """The error for what no environment has that could be asked."""
    if similar:
        return SessionNotFoundError(
            f"No environment has {thing}", hint=f"Did you mean {' or '.join(similar)}?"
        )
    if not unasked:
        return SessionNotFoundError(
            f"No environment has {thing}", hint="What there is: ocattach session list"
        )
    names = " ".join(shlex.quote(name) for name in unasked)
    return SessionNotFoundError(
        f"No environment that answers has {thing}; not asked could be {', '.join(unasked)}",
        hint=f"See how they stand: ocattach --status {names}",
    )
