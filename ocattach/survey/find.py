"""Which environment a session is in, and requests to the daemon there; nothing is started by it."""

import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import (
    DaemonNotRunningError,
    OcattachError,
    SessionNotFoundError,
    TimedOutError,
    UsageError,
)
from ocattach.link.client.foreground import GRACE_SECONDS
from ocattach.link.client.queries import daemon_of_link
from ocattach.link.server.daemon_starter import command_name
from ocattach.sessions.environment import environment_id, origin_for
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Asked, Index
from ocattach.sessions.names import index_file
from ocattach.sessions.record import Session
from ocattach.survey.entry import Entry
from ocattach.survey.probe import Nobody
from ocattach.survey.stored import stored_session
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, TransportHandler
from ocattach.transports.shared import Ways

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient

T = TypeVar("T")

SHOWN, LOOKED_AT = 3, 2000
"""Sessions that are named because their ids are alike, and those that are looked at for it, the latest first."""

REQUEST_SECONDS = 10.0
"""How long a daemon may take for an answer: a session's messages can be megabytes, on a slow line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A session, and the connection that leads to it."""

    spec: ConnectionSpec
    """As links know it: settled, with its own directory."""

    session: Session


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """What one environment answered, or why it did not."""

    specs: tuple[ConnectionSpec, ...]
    """The connections that lead there."""

    answer: T | None = None
    error: OcattachError | None = None


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
        spec = ConnectionSpec(target=parse_uri(asked.uri).target).settled(environ)
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


def ask_each(
    entries: Sequence[Entry],
    question: Callable[["DaemonClient", Sequence[ConnectionSpec]], T],
    *,
    environ: Mapping[str, str],
    timeout: float,
    dial_timeout: float | None = None,
) -> Iterator[Told[T]]:
    """Put a question to the daemon of every environment, side by side; what each says, as it comes.

    Nobody is waited for longer than so many seconds, and who may not be asked is not. To be reached an environment may
    be given less time than for all that it says.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(environment_id(entry.spec, environ), []).append(entry)
    ways, answers = Ways(), queue.SimpleQueue[Told[T]]()

    def run(specs: tuple[ConnectionSpec, ...]) -> None:
        try:
            reach_within = dial_timeout or timeout
            with open_client(
                specs[0], environ=environ, ask=Nobody(specs[0]), timeout=reach_within, ways=ways
            ) as client:
                answers.put(Told(specs, answer=question(client, specs)))
        except OcattachError as error:
            answers.put(Told(specs, error=error))

    waiting = set()
    for group in groups.values():
        specs = tuple(entry.spec for entry in group if entry.refusal is None)
        if specs:
            waiting.add(specs)
            threading.Thread(target=run, args=(specs,), name="ocattach-ask", daemon=True).start()
        else:
            yield Told(tuple(entry.spec for entry in group), error=group[0].refusal)
    deadline = time.monotonic() + timeout
    with suppress(queue.Empty):
        while waiting:
            told = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            waiting.remove(told.specs)
            yield told
    for specs in waiting:
        yield Told(specs, error=TimedOutError(f"No answer within {timeout:g} s"))
    if not waiting:  # otherwise the end of the process closes them: a dead host would have to be waited for
        ways.close()


@contextmanager
def open_client(
    spec: ConnectionSpec,
    *,
    environ: Mapping[str, str],
    ask: Ask,
    timeout: float,
    ways: Ways | None = None,
) -> Iterator["DaemonClient"]:
    """Requests to the daemon of an environment: through its link where that is up, else by a dial of their own.

    Nothing is started. Raises DaemonNotRunningError with the command that does where none runs, and whatever stands
    in the way; `ask` puts questions to a person, `ways` are those that several environments have in common.
    """
    linked = None
    if spec.target.needs_link:
        linked = daemon_of_link(spec.link_key(environ), environ, timeout=min(timeout, GRACE_SECONDS))
    if linked is not None:
        client = client_at(linked.url, linked.username, linked.password)
        client.known_version, client.still = linked.version, frozenset(linked.still)
        yield client
        return

    def make() -> TransportHandler:
        # Its directory may be gone by now, which is of no matter here.
        handler = open_handler(replace(spec, workdir=None), ask=ask, timeout=timeout)
        handler.remembers = not isinstance(ask, Nobody)
        return handler

    with make() as handler, ways.shared(handler, make) if ways else nullcontext():
        handler.check_available()
        with client_of(handler) as client:
            yield client


@contextmanager
def client_of(handler: TransportHandler) -> Iterator["DaemonClient"]:
    """Requests to the daemon that runs behind a handler. Raises DaemonNotRunningError where none does."""
    spec = handler.spec
    if not spec.target.needs_link:
        direct = handler.direct()
        yield client_at(direct.url, direct.username, direct.password, ca_file=direct.ca_file)
        return
    daemon = handler.check_daemon_running().daemon
    if daemon is None:
        raise DaemonNotRunningError(
            f"No daemon runs in {spec.display()}", hint=f"Start it: ocattach {command_name(spec)}"
        )
    with handler.connect(daemon.port) as tunnel:
        yield client_at(tunnel.url, daemon.username, daemon.password)


def client_at(url: str, username: str, password: str, *, ca_file: str | None = None) -> "DaemonClient":
    """Requests to a daemon at a URL."""
    from ocattach.opencode.api import DaemonClient  # noqa: PLC0415 - HTTP: for who dials
    from ocattach.opencode.endpoint import Endpoint  # noqa: PLC0415

    place = Endpoint(url, ca_file=ca_file)
    return DaemonClient(place, username=username, password=password, timeout=REQUEST_SECONDS)
