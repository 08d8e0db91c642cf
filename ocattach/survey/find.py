"""Finds the environment that has a session. Starts no daemon."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import DaemonNotRunningError, SessionConflictError, SessionNotFoundError, UsageError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import SessionClient, checked
from ocattach.printable import command_line
from ocattach.sessions.index.claims import Claims
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import IndexedEnvironment, IndexedSession
from ocattach.sessions.index.store import open_index
from ocattach.sessions.origins import origin_for
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import ask_each
from ocattach.survey.stored import stored_session

FIND_SECONDS = 20.0
"""Timeout for finding the environment of a session or request, and again for connecting to it."""

ENOUGH_SECONDS = 5.0
"""Timeout for further environments once one has what is looked for: another could have it, too."""

SUGGESTED = 3
"""How many ids are suggested for a text with which several begin."""

SHORTEST = len("ses_") + 4
"""The length of the shortest beginning of an id that is taken for it."""


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session, and the connection that leads to it."""

    spec: ConnectionSpec
    """Settled, with its own working directory."""

    session: Session
    others: tuple[str, ...] = ()
    """Titles of other environments that reported the same id later."""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """What the index has about one session."""

    known: Sequence[IndexedSession] = ()
    claims: Claims | None = None
    """None if no environment has reported it."""

    chosen: str | None = None
    """The environment that the user has chosen for it."""

    environments: Mapping[str, IndexedEnvironment] = field(default_factory=dict)

    @classmethod
    def read(cls, session: str, environ: Mapping[str, str]) -> Self:
        """Read it; an empty one without an index."""
        with suppress(IndexUnusableError), open_index(environ) as index:
            claims = index.claims(session).get(session)
            return cls(index.find(session), claims, index.chosen(session), index.environments())
        return cls()


class Finder:
    """Finds the environment of one session among connections."""

    def __init__(
        self, session: str, entries: Sequence[SurveyedConnection], environ: Mapping[str, str]
    ) -> None:
        self._session, self._entries, self._environ = checked(session), entries, environ
        self._record = IndexRecord.read(session, environ)

    def in_index(self) -> FoundSession | None:
        """Return where the index has the session; None if it has not, or if no connection leads there any more.

        Raises SessionConflictError if it is not known which of several environments was the first to report it.
        """
        claims, chosen = self._record.claims, self._record.chosen
        if claims is None or (chosen is not None and not claims.owner.is_chosen):
            return None
        if claims.is_undecided:
            raise self._conflict([self._specs(claim.environment) for claim in claims.all])
        others = {claim.environment for claim in claims.others}
        for known in self._record.known:
            environment = known.session.environment
            if environment not in others and (specs := self._specs(environment)):
                titles = tuple(dict.fromkeys(self._title(other) for other in sorted(others)))
                return FoundSession(leading_to(specs, known.session.directory), known.session, titles)
        return None

    def by_query(self, timeout: float) -> FoundSession:
        """Return where the session is, by querying all environments.

        Raises SessionNotFoundError, and SessionConflictError if several environments report it.
        """
        found: list[FoundSession] = []
        silent: list[str] = []
        for result in ask_each(
            self._entries, self._question, environ=self._environ, timeout=timeout, enough=ENOUGH_SECONDS
        ):
            session = result.answer
            if isinstance(result.error, DaemonNotRunningError):
                session = self._read(
                    stored_session(self._session, result.specs[0], self._environ), result.specs
                )
            if session is not None:
                found.append(FoundSession(leading_to(result.specs, session.directory), session))
            elif result.error is not None:
                silent += [name for spec in result.specs if (name := spec.name)]
        if not found:
            raise not_found(self._session, silent)
        chosen = [each for each in found if each.session.environment == self._record.chosen]
        places = {each.spec.place_id(self._environ) for each in found}
        if self._record.claims:
            places.add(self._record.claims.owner.place)
        if len(places) > 1 and not chosen:
            raise self._conflict([[each.spec] for each in found])
        return (chosen or found)[0]

    def _question(self, client: DaemonClient, specs: Sequence[ConnectionSpec]) -> Session | None:
        try:
            return self._read(SessionClient(client).get(self._session), specs)
        except SessionNotFoundError:
            return None

    def _read(self, content: Any, specs: Sequence[ConnectionSpec]) -> Session | None:
        return Session.from_api(content, environment=environment_id(specs[0], self._environ))

    def _specs(self, environment: str) -> list[ConnectionSpec]:
        """Return the connections to an environment; one made from its stored URI if there is no other."""
        specs = [
            entry.spec for entry in self._entries if environment_id(entry.spec, self._environ) == environment
        ]
        asked = self._record.environments.get(environment)
        return specs or (by_uri(asked, self._environ) if asked else [])

    def _title(self, environment: str) -> str:
        specs, asked = self._specs(environment), self._record.environments.get(environment)
        return specs[0].title() if specs else asked.uri if asked else environment

    def _conflict(self, found: Sequence[Sequence[ConnectionSpec]]) -> SessionConflictError:
        claims = self._record.claims
        titles = [specs[0].title() for specs in found if specs]
        titles += [self._title(claim.environment) for claim in claims.all] if claims else []
        commands = [choosing(specs[0], self._session) for specs in found if specs]
        return SessionConflictError(
            f"{self._session} is reported by several environments: {', '.join(dict.fromkeys(titles))}",
            hint=f"Open it in the right one; later commands then use that one: {' or '.join(dict.fromkeys(commands))}",
        )


def find(
    session: str, entries: Sequence[SurveyedConnection], *, environ: Mapping[str, str], timeout: float
) -> FoundSession:
    """Return where a session is, from the index or else by querying all environments.

    `session` is its id, or the beginning of one that no other session in the index has.

    Raises SessionNotFoundError, which names the environments that did not answer, SessionConflictError, which names
    those that report it, and UsageError for an invalid id.
    """
    finder = Finder(meant_session(session, environ), entries, environ)
    return finder.in_index() or finder.by_query(timeout)


def choose(session: str, spec: ConnectionSpec, environ: Mapping[str, str]) -> None:
    """Store that the user means the environment of this connection by a session's id; nothing for an invalid id."""
    with suppress(IndexUnusableError, UsageError), open_index(environ) as index:
        index.choose(checked(session), environment_id(spec, environ))


def choosing(spec: ConnectionSpec, session: str) -> str:
    """Return the command by which the user chooses an environment for a session."""
    return command_line("ocattach", spec.name or spec.target.uri(), "--session", session)


def by_uri(asked: IndexedEnvironment, environ: Mapping[str, str]) -> list[ConnectionSpec]:
    """Return a connection made from the stored URI of an environment; empty if that now means another one."""
    try:
        spec = ConnectionSpec(target=parse_uri(asked.uri).target).pinned(environ)
    except UsageError:
        return []
    return [spec] if environment_id(spec, environ) == asked.id else []


def meant_session(text: str, environ: Mapping[str, str]) -> str:
    """Return the id that was typed, or whose beginning was. Raises UsageError for what is no id, and as `whole_id`."""
    return checked(whole_id(text, environ))


def whole_id(text: str, environ: Mapping[str, str]) -> str:
    """Return the id of the one session in the index that begins with a text; else the text itself.

    Raises SessionNotFoundError if several do.
    """
    if len(text) < SHORTEST:
        return text
    known: list[str] = []
    with suppress(IndexUnusableError), open_index(environ) as index:
        known = [text] if index.find(text) else index.beginning_with(text, limit=SUGGESTED + 1)
    if len(known) > 1:
        more = " and more" if len(known) > SUGGESTED else ""
        raise SessionNotFoundError(
            f"{text} is the beginning of several sessions: {', '.join(known[:SUGGESTED])}{more}",
            hint="Type more of the id, or list all: ocattach session list",
        )
    return known[0] if known else text


def leading_to(specs: Sequence[ConnectionSpec], directory: str) -> ConnectionSpec:
    """Return the connection, of several to one environment, whose working directory contains a directory."""
    origin = origin_for(directory, specs)
    return next((spec for spec in specs if spec.name == origin), specs[0])


def not_found(thing: str, silent: Sequence[str]) -> SessionNotFoundError:
    """Return the error for a session or permission that was not found; `silent` connections did not answer."""
    silent = sorted(silent)
    if silent:
        return SessionNotFoundError(
            f"{thing} was not found in any environment that answered; no answer from {', '.join(silent)}",
            hint=f"Show their state: {command_line('ocattach', '--status', *silent)}",
        )
    return SessionNotFoundError(
        f"{thing} was not found in any environment", hint="List all sessions: ocattach session list"
    )
