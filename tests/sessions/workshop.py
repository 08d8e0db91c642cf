"""Real daemons in which sessions are made to be one thing or the other, and asked about by our own code."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ocattach.daemon.listener import read_proxies
from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.prompts import PromptClient, new_prompt, of_time
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions.diagnosis import Finding
from ocattach.sessions.examination import Examination, examine
from ocattach.sessions.record import Session
from tests.rigs.availability import require
from tests.rigs.commands import run_here
from tests.rigs.directories import short_directory
from tests.rigs.http_daemon import HandStartedDaemon
from tests.rigs.local import LocalMachine, local_machine
from tests.rigs.waiting import wait_until

ASK_FOR_BASH = [{"permission": "bash", "pattern": "*", "action": "ask"}]
"""The rules of a session that asks before it runs a command."""

TWO_QUESTIONS: list[dict[str, Any]] = [
    {
        "question": "Which colour?",
        "header": "Colour",
        "options": [
            {"label": "red", "description": "warm"},
            {"label": "blue", "description": "cold"},
        ],
    },
    {
        "question": "Which sizes?",
        "header": "Size",
        "options": [
            {"label": "S", "description": "small"},
            {"label": "L", "description": "large"},
        ],
        "multiple": True,
    },
]
ASK_TWO_QUESTIONS = f"!call question {json.dumps({'questions': TWO_QUESTIONS})}"
"""The prompt for which the scripted model asks these questions."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A daemon in which sessions are made to be one thing or the other."""

    daemon: HandStartedDaemon
    machine: LocalMachine
    client: DaemonClient

    def open_session(self, title: str, *, directory: str = "", **more: Any) -> Session:
        """A new session."""
        where = directory or str(self.machine.workdir)
        content = self.client.request("POST", f"/session?directory={where}", {"title": title, **more}).json()
        session = Session.from_api(content, environment="")
        assert session is not None
        return session

    def make(self, text: str, *, directory: str = "", model: str = "", **more: Any) -> Session:
        """A session that is asked something; of whom is the daemon's choice, or this one."""
        session = self.open_session(text, directory=directory, **more)
        PromptClient(self.client).send(
            session.id, new_prompt(text, of_time(session.created) + 1, model=model)
        )
        return session

    def abort(self, session: Session) -> None:
        """Break off what it does."""
        SessionClient(self.client).abort(session.id)

    def examine(self, session: Session) -> Examination:
        """All that the daemon tells of it, and of the daemon's proxies."""
        proxies = read_proxies(run_here, pid=self.daemon.process.pid, timeout=10)
        return examine(self.client, session).with_proxies(proxies)

    def found(self, session: Session, code: str) -> Finding:
        """What is said of it once there is such a finding."""

        def look() -> Finding | None:
            return next((each for each in self.examine(session).findings if each.code == code), None)

        return wait_until(look, f"{session.title!r} to be found {code}", interval=0.2)

    def rests(self, session: Session) -> Examination:
        """How it stands when it is answered, or has failed."""

        def look() -> Examination | None:
            seen = self.examine(session)
            is_over = any(turn.is_over for turn in seen.turns)
            return seen if is_over and seen.situation.activity is Activity.IDLE else None

        return wait_until(look, f"{session.title!r} to come to rest", interval=0.2)


@contextmanager
def workshop(
    prepare: Callable[[LocalMachine], Mapping[str, str]] = lambda _: {},
) -> Iterator[Workshop]:
    """A workshop; `prepare` changes its machine, and gives variables for the daemon."""
    with require("local"), ExitStack() as stack:
        machine = stack.enter_context(local_machine(stack.enter_context(short_directory())))
        machine.environment.update(prepare(machine))
        daemon = stack.enter_context(HandStartedDaemon(machine))
        client = DaemonClient(daemon.url, password=daemon.password, timeout=60)
        yield Workshop(daemon, machine, client)
