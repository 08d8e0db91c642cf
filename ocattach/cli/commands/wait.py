"""`ocattach wait NAME|ID`: wait until a session is idle, waits for a person, or has failed."""

import os
import time
from collections.abc import Iterator

import click

from ocattach.backoff import Deadline
from ocattach.cli.command import Command, advice, output_option, timeout_option
from ocattach.cli.complete import names_or_ids
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.target import as_used, connection_argument, named_connection
from ocattach.cli.terminal import escape
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.config.variables import working_directory
from ocattach.errors import ConnectionLostError, SessionNotFoundError, TimedOutError, UnreachableError
from ocattach.link.client.access import open_client
from ocattach.link.client.direct import asker
from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import SessionClient, is_session_id
from ocattach.opencode.snapshot import snapshot
from ocattach.printable import command_line
from ocattach.sessions.examination import examine
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import everywhere
from ocattach.survey.find import FIND_SECONDS, find

STATES = ("idle", "waiting", "error")

DONE = {"idle": "become idle", "waiting": "begun to wait for you", "error": "failed"}
"""What a session has done that is in a state."""

LOOK_SECONDS = 1.0
"""Interval between queries."""

EXAMPLES = """
ocattach wait ses_0123                          until it is done, waits for you, or has failed
ocattach wait frontend --for waiting            until any session there waits for you
ocattach wait frontend --timeout 600 && make test
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("target", "NAME|ID", completer=names_or_ids)
@click.option("--for", "states", multiple=True, type=click.Choice(STATES), help="Only for this state.")
@timeout_option("Give up after so many seconds, with exit code 8; by default never.")
@output_option
def wait(target: str, *, states: tuple[str, ...], timeout: float | None, output: str) -> None:
    """Wait until a session, or any session of an environment, is idle, waits for a person or has failed.

    A session that is idle already counts; of an environment, only one that works now, unless none does.
    """
    person = Person()
    spec, session = destination(target, person)
    deadline = Deadline(timeout or float("inf"))
    with advice(None if session else target), person.waiting(f"Waiting for {target}"):
        found, state = Watch(spec, session, frozenset(states or STATES), person).until(deadline, target)
    if output == "json":
        print_json({"session": found.identity_json(), "state": state})
    else:
        click.echo(escape(f"{found.id} {state}: {found.title}").replace("\n", " "))


def destination(target: str, person: Person) -> tuple[ConnectionSpec, str | None]:
    """Return the environment that is meant, and the session if one is meant."""
    if is_session_id(target):
        entries = everywhere(cwd=working_directory(), environ=os.environ).entries
        with person.asking():
            place = find(target, entries, environ=os.environ, timeout=FIND_SECONDS)
        return as_used(place.spec), place.session.id
    return named_connection(target), None


class Watch:
    """The sessions that are waited for, and what they did at the last query."""

    def __init__(
        self, spec: ConnectionSpec, session: str | None, states: frozenset[str], person: Person
    ) -> None:
        self._spec = spec
        self._person = person
        self._session = session
        self._states = states
        self._at_work: set[str] | None = None
        """The sessions that worked at the last query; None before the first."""

    def until(self, deadline: Deadline, target: str) -> tuple[Session, str]:
        """Return the first session in a wanted state, and the state. Raises TimedOutError.

        A lost connection is waited for.
        """
        is_lost = False
        while True:
            try:
                with open_client(
                    self._spec, environ=os.environ, ask=asker(self._person), timeout=FIND_SECONDS
                ) as client:
                    is_lost = False
                    while True:
                        for found in self._look(client):
                            return found
                        self._pause(deadline, target)
            except (ConnectionLostError, TimedOutError, UnreachableError) as error:
                if deadline.has_passed or self._at_work is None:
                    raise
                if not is_lost:
                    self._person.notice(f"Connection to {self._spec.title()} lost, retrying: {error.message}")
                is_lost = True
                self._pause(deadline, target)

    def _pause(self, deadline: Deadline, target: str) -> None:
        if deadline.has_passed:
            raise TimedOutError(
                f"{self._waited_for(target)} in time",
                hint=f"Show what it does: {command_line('ocattach', 'session', 'list')}",
            )
        time.sleep(min(LOOK_SECONDS, max(0.01, deadline.left)))

    def _waited_for(self, target: str) -> str:
        """What did not happen."""
        done = " or ".join(DONE[state] for state in STATES if state in self._states)
        return f"{target} has not {done}" if self._session else f"No session of {target} has {done}"

    def _look(self, client: DaemonClient) -> Iterator[tuple[Session, str]]:
        """Query the daemon, and yield the sessions in a wanted state."""
        if self._session is not None:
            self._at_work = {self._session}
            yield from self._state_of(client, self._session)
            return
        seen = snapshot(client, [self._spec.workdir])
        doing = {name: what for _, each in seen.doing for name, what in (each or {}).items()}
        before, self._at_work = self._at_work, set(doing)
        candidates = [name for name, what in doing.items() if what is Activity.WAITING]
        if before is None and not doing:
            if not seen.sessions:
                raise SessionNotFoundError(f"{self._spec.title()} has no sessions")
            candidates = [str(seen.sessions[0]["id"])]
        for name in [*candidates, *sorted((before or set()) - self._at_work)]:
            yield from self._state_of(client, name)

    def _state_of(self, client: DaemonClient, name: str) -> Iterator[tuple[Session, str]]:
        session = Session.from_api(
            SessionClient(client).get(name), environment=environment_id(self._spec, os.environ)
        )
        if session is None:
            return
        state = state_of(client, session)
        if state in self._states:
            yield session, state


def state_of(client: DaemonClient, session: Session) -> str:
    """Return `idle`, `waiting` or `error`; `busy` while a session works or has a prompt that waits for it."""
    seen = examine(client, session)
    turns = seen.turns
    if seen.situation.activity is Activity.WAITING:
        return "waiting"
    if seen.situation.activity is not Activity.IDLE or (turns and not turns[-1].is_over):
        return "busy"
    return "error" if turns and turns[-1].failure else "idle"
