"""Pending requests of sessions in all environments: listed, and found by their id."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import SessionConflictError, SessionNotFoundError
from ocattach.link.client.access import open_client
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import PendingRequest, pending
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import QueryResult, ask_each
from ocattach.survey.find import FIND_SECONDS, IndexRecord, choosing, not_found
from ocattach.transports.base import Ask

HINT = "List pending requests: ocattach session waiting"

R = TypeVar("R", bound=PendingRequest)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """A pending request and the session that waits for the answer."""

    request: PendingRequest
    session: Session


def ask(
    entries: Sequence[SurveyedConnection], environ: Mapping[str, str]
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

    return ask_each(entries, query, environ=environ, timeout=FIND_SECONDS)


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

    Raises SessionNotFoundError if none has it, and SessionConflictError if several have, or if the index has its
    session in another environment.
    """

    def query(client: DaemonClient, specs: Sequence[ConnectionSpec]) -> R | None:
        requests = (request for request, _ in pending(client, [spec.workdir for spec in specs]))
        return next((each for each in requests if isinstance(each, kind) and each.id == identifier), None)

    found: list[tuple[R, ConnectionSpec]] = []
    unasked: list[str] = []
    for result in ask_each(entries, query, environ=environ, timeout=FIND_SECONDS):
        if result.answer is not None:
            found.append((result.answer, result.specs[0]))
        elif result.error is not None:
            unasked += [name for spec in result.specs if (name := spec.name)]
    if not found and unasked:
        raise not_found(identifier, unasked)
    if not found:
        raise SessionNotFoundError(
            f"{identifier} does not wait for an answer; it may have been answered", hint=HINT
        )
    check_owner(identifier, found, environ)
    return found[0]


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
