"""Pending requests of sessions in all environments: listed, and found by their id."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import (
    DaemonNotRunningError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    SessionConflictError,
    SessionNotFoundError,
)
from ocattach.link.client.access import open_client
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import PendingRequest, pending
from ocattach.printable import command_line
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import QueryResult, ask_each
from ocattach.survey.find import ENOUGH_SECONDS, FIND_SECONDS, SHORTEST, SUGGESTED, IndexRecord, choosing
from ocattach.transports.base import Ask

NOTHING_WAITS = (DaemonNotRunningError, EnvironmentNotFoundError, EnvironmentNotRunningError)
"""Errors of environments in which no request can wait: a daemon keeps them in memory."""

HINT = "List pending requests: ocattach session waiting"

R = TypeVar("R", bound=PendingRequest)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """A pending request and the session that waits for the answer."""

    request: PendingRequest
    session: Session


def ask(
    entries: Sequence[SurveyedConnection], environ: Mapping[str, str], *, timeout: float = FIND_SECONDS
) -> Iterator[QueryResult[list[FoundRequest]]]:
    """The requests of each environment, or why they are unknown."""
    names = Names([entry.spec for entry in entries], environ)

    def query(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> list[FoundRequest]:
        environment = environment_id(specs[0], environ)
        found = []
        for each, content in pending(client, [spec.workdir for spec in specs]):
            session = Session.from_api(content, environment=environment)
            if session is not None:
                found.append(FoundRequest(each, names.named(session)))
        return found

    return ask_each(entries, query, environ=environ, timeout=timeout)


def ambiguous(
    found: Sequence[FoundRequest], entries: Sequence[SurveyedConnection], environ: Mapping[str, str]
) -> Iterator[str]:
    """The ids that environments of several places report: they cannot be answered by id."""
    places = {environment_id(each.spec, environ): each.spec.place_id(environ) for each in entries}
    reported: dict[str, set[str]] = {}
    for each in found:
        reported.setdefault(each.request.id, set()).add(places[each.session.environment])
    yield from (identifier for identifier, where in reported.items() if len(where) > 1)


def respond(
    identifier: str,
    kind: type[R],
    entries: Sequence[SurveyedConnection],
    send: Callable[[DaemonClient, R], T],
    *,
    ask: Ask,
    environ: Mapping[str, str],
) -> T:
    """Find a request in these environments, call `send` with it and a client, and return the result.

    Every reply to a permission request and every answer to a question is sent here. Raises what `find_request` raises.
    """
    request, spec = find_request(identifier, kind, entries, environ)
    with open_client(spec, environ=environ, ask=ask, timeout=FIND_SECONDS) as client:
        return send(client, request)


def find_request(
    identifier: str, kind: type[R], entries: Sequence[SurveyedConnection], environ: Mapping[str, str]
) -> tuple[R, ConnectionSpec]:
    """Return a request and a connection to its environment, by querying these environments.

    `identifier` is its id, or the beginning of one that no other request has that waits. Raises SessionNotFoundError if
    none has it, and SessionConflictError if several have, or if the index has its session in another environment.
    """
    is_short = len(identifier) >= SHORTEST

    def query(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> list[R]:
        requests = (request for request, _ in pending(client, [spec.workdir for spec in specs]))
        ours = [each for each in requests if isinstance(each, kind)]
        return [
            each for each in ours if each.id == identifier or (is_short and each.id.startswith(identifier))
        ]

    found: list[tuple[R, ConnectionSpec]] = []
    unasked: list[str] = []
    for result in ask_each(entries, query, environ=environ, timeout=FIND_SECONDS, enough=ENOUGH_SECONDS):
        found += [(each, result.specs[0]) for each in result.answer or []]
        if result.error is not None and not isinstance(result.error, NOTHING_WAITS):
            unasked += [name for spec in result.specs if (name := spec.name)]
    found = [each for each in found if each[0].id == identifier] or found
    ids = sorted({request.id for request, _ in found})
    if len(ids) > 1:
        raise SessionNotFoundError(
            f"{identifier} is the beginning of several ids: {', '.join(ids[:SUGGESTED])}", hint=HINT
        )
    if not found:
        raise no_longer_waiting(identifier, unasked)
    if identifier not in ids and unasked:
        raise SessionNotFoundError(
            f"{identifier} is the beginning of {ids[0]}; {', '.join(sorted(unasked))} did not answer and may have more",
            hint=f"Type the whole id: {ids[0]}",
        )
    check_owner(ids[0], found, environ)
    return found[0]


def no_longer_waiting(identifier: str, unasked: Sequence[str]) -> SessionNotFoundError:
    """Return the error for an id that nothing waits with, as far as the environments have answered."""
    message = f"{identifier} does not wait for an answer; it may have been answered"
    if not unasked:
        return SessionNotFoundError(message, hint=HINT)
    names = sorted(unasked)
    return SessionNotFoundError(
        f"{message}. No answer from {', '.join(names)}",
        hint=f"Show their state: {command_line('ocattach', '--status', *names)}",
    )


def check_owner(
    identifier: str, found: Sequence[tuple[PendingRequest, ConnectionSpec]], environ: Mapping[str, str]
) -> None:
    """Raise SessionConflictError if several environments report a request, or another one has its session."""
    places = {spec.place_id(environ) for _, spec in found}
    asked, spec = found[0]
    claims = IndexRecord.read(asked.session, environ).claims
    if len(places) == 1 and (claims is None or claims.belongs_to(*places)):
        return
    names = ", ".join(spec.title() for _, spec in found)
    owner = "" if len(places) > 1 else f", but {asked.session} belongs to another environment"
    raise SessionConflictError(
        f"{identifier} is reported by {names}{owner}",
        hint=f"Answer in the TUI of the right one: {choosing(spec, asked.session)}",
    )
