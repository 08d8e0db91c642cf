"""`ocattach events [NAME…]`: what agents do, one JSON object a line."""

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

from ocattach.backoff import Backoff
from ocattach.cli.command import Command, advice
from ocattach.cli.complete import session_ids
from ocattach.cli.person import Person
from ocattach.cli.target import connect_seconds, connection_argument, named_connection
from ocattach.cli.terminal import say
from ocattach.config.files.paths import state_directory
from ocattach.config.settings import EVENTS
from ocattach.config.spec import ConnectionSpec, origin_name
from ocattach.config.variables import working_directory
from ocattach.defects import FILE, as_error
from ocattach.errors import OcattachError
from ocattach.link.client.foreground import ask
from ocattach.link.client.queries import agent_events
from ocattach.link.files import link_files
from ocattach.survey.everywhere import everywhere
from ocattach.survey.find import meant_session

LOOK_SECONDS = 2.0
"""How often links that have started meanwhile are looked for."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two tries to reach a named environment again."""

BACKLOG = 100
"""How many events wait to be printed; a link keeps more."""

EXAMPLES = """
ocattach events                                  of all environments with a link
ocattach events staging --type session-end       wait for agents to finish there
ocattach events --since-last | jq -r .event      go on where the last reader stopped
ocattach events frontend --shape copilot         for rules written for the hooks of Copilot CLI
"""


TYPES = {
    "session-start": "A session was created.",
    "prompt": "A session got a prompt.",
    "tool-start": "A tool call begins.",
    "tool-end": "A tool call has ended, with its output and exit code.",
    "permission-asked": "A session waits for a permission.",
    "permission-answered": "It was granted or rejected.",
    "question-asked": "A session waits for an answer.",
    "question-answered": "It was answered or rejected.",
    "answer": "The agent's answer, with tokens and cost.",
    "session-end": "A run has ended, or a session was deleted, with the reason.",
    "gap": "Events were missed.",
}


@click.command(cls=Command, examples=EXAMPLES, values={"Types": TYPES})
@connection_argument("names", "[NAME]...", nargs=-1)
@click.option("--session", metavar="ID", shell_complete=session_ids, help="Only events of this session.")
@click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    type=click.Choice(EVENTS),
    help="Only events of this type; repeatable.",
)
@click.option("--since-last", is_flag=True, help="Begin after the last event that was read before.")
@click.option(
    "--shape",
    type=click.Choice(["ocattach", "copilot"]),
    default="ocattach",
    help="The names of the values: ours, or those of the hooks of Copilot CLI, which has fewer events.",
)
def events(
    names: tuple[str, ...], *, session: str | None, types: tuple[str, ...], since_last: bool, shape: str
) -> None:
    """Print what agents do as JSON, one event a line, until Ctrl-C. Starts no daemon.

    A link keeps its latest events for --since-last, at most 10,000 and 4 MiB. What was missed is reported as a gap.
    """
    if session is not None:
        session = meant_session(session, os.environ)
    feed = Reader(since_last=since_last)
    if names:
        specs = [named_connection(name) for name in names]
        for name, spec in zip(names, specs, strict=True):
            with advice(name):
                feed.follow_named(spec)
    look_at = 0.0
    while True:
        if not names and time.monotonic() >= look_at:
            feed.follow_links([each.spec for each in trusted()])
            if not look_at and not feed.is_following:
                say("No environment has a link yet; waiting for one")
            look_at = time.monotonic() + LOOK_SECONDS
        event = feed.next(LOOK_SECONDS)
        if event is None or not is_wanted(event, session, types):
            continue
        shaped = copilot_hook(event) if shape == "copilot" else event
        if shaped is not None:
            click.echo(json.dumps(shaped, separators=(",", ":")))
            sys.stdout.flush()


def copilot_hook(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what Copilot CLI gives to the hook for such an event; None if it has none."""
    head = {"sessionId": event.get("session"), "timestamp": event["time"], "cwd": event.get("cwd")}
    tool = {"toolName": event.get("tool"), "toolArgs": event.get("input")}
    match event["event"]:
        case "session-start":
            return {"hook": "sessionStart", **head}
        case "prompt":
            return {"hook": "userPromptSubmitted", **head, "prompt": event["text"]}
        case "tool-start":
            return {"hook": "preToolUse", **head, **tool}
        case "tool-end":
            result = {key: event[key] for key in ("exit_code", "stdout", "output")}
            result |= {"exitCode": event["exit_code"], "isError": event["is_error"]}
            return {"hook": "postToolUse", **head, **tool, "toolResult": result}
        case "session-end":
            return {"hook": "sessionEnd", **head, "reason": event["reason"], "error": event.get("error")}
    return None


def is_wanted(event: Mapping[str, Any], session: str | None, types: Collection[str]) -> bool:
    """Whether an event has one of these types, if there are any, and is of this session, or a gap in whichever."""
    return (not types or event["event"] in types) and (
        session is None or event.get("session") in {session, None}
    )


def trusted() -> Sequence[Any]:
    """The connections that may be used."""
    return [
        each
        for each in everywhere(cwd=working_directory(), environ=os.environ).entries
        if each.refusal is None
    ]


class Reader:
    """Reads several links, in a thread each."""

    def __init__(self, *, since_last: bool) -> None:
        self._since_last = since_last
        self._events: queue.Queue[dict[str, Any] | OcattachError] = queue.Queue(BACKLOG)
        self._followed: dict[str, threading.Thread] = {}

    @property
    def is_following(self) -> bool:
        """Whether any link is read."""
        return any(thread.is_alive() for thread in self._followed.values())

    def next(self, timeout: float) -> dict[str, Any] | None:
        """Return the next event; None if there is none in time. Raises the error of a named environment."""
        try:
            found = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(found, OcattachError):
            raise found
        return found

    def follow_links(self, specs: Sequence[ConnectionSpec]) -> None:
        """Follow the links of connections that have one."""
        for spec in specs:
            key = spec.link_key(os.environ)
            if link_files(key, os.environ).socket.exists():
                self._start(key, lambda key, _: self._read(key, ""), spec)

    def follow_named(self, spec: ConnectionSpec) -> None:
        """Follow an environment whose link is started if needed, also after it has ended."""
        connect(spec, Person(quiet=True))
        self._start(spec.link_key(os.environ), self._keep_reading, spec)

    def _start(self, key: str, work: Any, spec: ConnectionSpec) -> None:
        thread = self._followed.get(key)
        if thread is None or not thread.is_alive():
            self._followed[key] = threading.Thread(target=work, args=(key, spec), daemon=True)
            self._followed[key].start()

    def _read(self, key: str, name: str) -> bool:
        """Read the events of a link until it ends. Returns whether there were any."""
        has_read = False
        for event in agent_events(key, os.environ, since_last=self._since_last):
            has_read = True
            self._events.put({**event, "environment": name or event.get("environment", "")})
        return has_read

    def _keep_reading(self, key: str, spec: ConnectionSpec) -> None:
        pauses = Backoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        while True:
            try:
                if self._read(key, origin_name(spec)):
                    pauses.reset()
                lost_at = time.time()
                self._reconnect(spec, pauses)
                gap = {"event": "gap", "seconds": round(time.time() - lost_at, 3), "reason": "the link ended"}
                self._events.put({"schema": 1, "environment": origin_name(spec), **gap})
            except Exception as error:  # noqa: BLE001 - reported as the error of the command
                self._events.put(as_error(error, state_directory(os.environ) / FILE))
                return

    def _reconnect(self, spec: ConnectionSpec, pauses: Backoff) -> None:
        while True:
            time.sleep(next(pauses))
            try:
                connect(spec, Person(quiet=True))
            except OcattachError as error:
                say(f"! {spec.title()}: {error.message}", colour="yellow")
            else:
                return


def connect(spec: ConnectionSpec, person: Person) -> None:
    """Connect the environment's link, which is started if needed, to its daemon, which is not."""
    ask(spec, {"do": "attach", "start": False}, person, os.environ, timeout=connect_seconds())
