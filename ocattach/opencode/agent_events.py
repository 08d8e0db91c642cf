"""What agents do, from the events of their daemon (1.1.65 to 1.18.33), each thing reported once.

OpenCode repeats events, sends several for one thing, and sends none again that were missed. Whatever is read from its
API after a gap is taken in the same way (see `opencode.missed_events`): what was reported before is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ocattach.opencode.agent_values import (
    LONGEST,
    MOST_OPEN,
    Answering,
    failure_of,
    short,
    tool_result,
    total,
)
from ocattach.opencode.events import CREATED, DELETED, STATUS, UPDATED, Event, session_of
from ocattach.opencode.pending import read_request
from ocattach.opencode.sessions import is_session_id, stamp
from ocattach.opencode.tui.seen import remember
from ocattach.untrusted_json import shortened, table

AgentEvent = dict[str, Any]
"""An event as `ocattach events` prints it, without what only the link knows: see docs/events.md."""

MOST_SESSIONS, MOST_DONE = 2000, 20_000
"""How many sessions and reported things are remembered."""

ABORTED = "MessageAbortedError"
IDLE = "session.idle"
ERROR = "session.error"
MESSAGE, PART = "message.updated", "message.part.updated"
ASKED = ("permission.asked", "permission.updated", "question.asked")
ANSWERED = ("permission.replied", "question.replied", "question.rejected")
KINDS = frozenset({CREATED, UPDATED, DELETED, STATUS, IDLE, ERROR, MESSAGE, PART, *ASKED, *ANSWERED})
"""The events of a daemon that are translated."""

ENDED = {"completed", "error"}
"""The states of a tool call that has ended."""


Reported = Iterator[tuple[str, AgentEvent]]
"""Types of events, with their values."""

Taker = Callable[[str, "AgentSession", Mapping[str, Any]], Reported]


@dataclass(slots=True)
class AgentSession:
    """What is known of a session."""

    directory: str = ""
    cwd: str = ""
    parent: str = ""
    title: str = ""
    origin: str | None = None
    """The origin in its metadata."""

    is_idle: bool | None = None
    """None if it is not known."""

    latest: str = ""
    """Its latest message. Ids of messages are in the order of time."""

    ended: str | None = None
    """The latest message when its end was last reported."""

    failure: tuple[str, str] | None = None
    """The name and message of the error of its run."""

    answer: tuple[str, str] | None = None
    """The complete answer that is not reported yet: its message and model."""

    open_calls: dict[str, str] = field(default_factory=dict)
    """The tool calls in progress, with their messages."""


class AgentEvents:
    """Translates events. For one thread."""

    def __init__(self) -> None:
        self.sessions: dict[str, AgentSession] = {}
        self.requests: dict[str, tuple[str, str, str]] = {}
        """The pending permission requests and questions: kind, session and directory."""
        self._prompts: dict[str, None] = {}
        """The messages of users."""
        self._parents: dict[str, str] = {}
        """The prompt that each answer belongs to."""
        self._answers: dict[str, Answering] = {}
        """By the prompt."""
        self._done: dict[str, None] = {}
        self._takers: Mapping[str, Taker] = {
            CREATED: self._created,
            UPDATED: self._updated,
            DELETED: self._deleted,
            STATUS: self._status,
            IDLE: self._idle,
            ERROR: self._error,
            MESSAGE: self._message,
            PART: self._part,
            **dict.fromkeys(ASKED, self._asked),
            **dict.fromkeys(ANSWERED, self._answered),
        }

    def take(self, event: Event) -> Iterator[AgentEvent]:
        """Return what an event of the daemon reports."""
        taker = self._takers.get(event.kind)
        identifier = session_of(event.properties) or table(event.properties.get("info")).get("id")
        if taker is None or not is_session_id(identifier):
            return
        session = self.sessions.get(identifier)
        if session is None:
            session = AgentSession()
            remember(self.sessions, identifier, session, limit=MOST_SESSIONS)
        session.directory = event.directory or session.directory
        for what, content in taker(identifier, session, event.properties):
            yield {
                "event": what,
                "session": identifier,
                "root": not session.parent,
                "directory": session.directory,
                "cwd": session.cwd or session.directory,
                **content,
            }

    def root_of(self, session: str) -> str:
        """Return the session that created a session, and its subagents, on behalf of the user."""
        for _ in range(8):
            known = self.sessions.get(session)
            if known is None or not known.parent:
                break
            session = known.parent
        return session

    def is_done(self, key: str) -> bool:
        """Return whether something was reported, and remember that it is."""
        known = key in self._done
        remember(self._done, key, None, limit=MOST_DONE)
        return known

    def _describe(self, session: AgentSession, properties: Mapping[str, Any]) -> None:
        info = table(properties.get("info"))
        session.directory = short(info.get("directory")) or session.directory
        session.parent = short(info.get("parentID")) or session.parent
        session.title = short(info.get("title")) or session.title
        session.origin = short(table(info.get("metadata")).get("origin")) or session.origin

    def _created(self, identifier: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        self._describe(session, properties)
        if not self.is_done(f"start {identifier}"):
            yield "session-start", {"title": session.title}

    def _updated(self, _: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        self._describe(session, properties)
        yield from ()

    def _deleted(self, identifier: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        self._describe(session, properties)
        if not self.is_done(f"deleted {identifier}"):
            yield "session-end", {"reason": "deleted"}
        self.sessions.pop(identifier, None)

    def _status(self, identifier: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        if table(properties.get("status")).get("type") == "idle":
            yield from self._idle(identifier, session, properties)
        elif session.is_idle is not False:
            session.is_idle, session.failure = False, None

    def _error(self, _: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        session.failure = failure_of(properties)
        yield from ()

    def _idle(self, _: str, session: AgentSession, __: Mapping[str, Any]) -> Reported:
        yield from self._answer(session)
        # Older events can come after what was read: a run with messages has ended once its latest message has.
        has_ended = session.latest == session.ended if session.latest else session.is_idle is not False
        failure, session.failure = session.failure, None
        session.is_idle = True
        if has_ended:
            return
        session.ended = session.latest
        end: AgentEvent = {"reason": "idle"}
        if failure is not None:
            name, message = failure
            end = {"reason": "error", "error": {"name": name, "message": message}}
            if name == ABORTED:
                end = {"reason": "aborted"}
        yield "session-end", {**end, "title": session.title}

    def _message(self, _: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        info = table(properties.get("info"))
        message, parent = short(info.get("id")), short(info.get("parentID"))
        if message > session.latest:
            yield from self._answer(session)
        session.latest = max(session.latest, message)
        if info.get("role") == "user":
            remember(self._prompts, message, None, limit=MOST_OPEN)
            return
        session.cwd = short(table(info.get("path")).get("cwd")) or session.cwd
        remember(self._parents, message, parent, limit=MOST_OPEN)
        answering = self._answering(parent)
        tokens, cost = table(info.get("tokens")), info.get("cost")
        known = total([tokens]), cost if isinstance(cost, int | float) else 0.0
        remember(answering.totals, message, known, limit=MOST_OPEN)
        if info.get("error"):
            if session.latest != session.ended:  # it comes again after the end
                session.failure = failure_of(info)
            return
        is_over = stamp(table(info.get("time")).get("completed")) and info.get("finish") not in {
            "tool-calls",
            None,
        }
        if is_over and not self.is_done(f"answer {message}"):
            session.answer = message, f"{short(info.get('providerID'))}/{short(info.get('modelID'))}"

    def _answer(self, session: AgentSession) -> Reported:
        """Report a complete answer. Its last text may come after it is complete."""
        if session.answer is None:
            return
        message, model = session.answer
        session.answer = None
        answering = self._answering(self._parents.get(message, ""))
        yield (
            "answer",
            {"message": message, "text": answering.text(message), "model": model, **answering.sums()},
        )

    def _answering(self, prompt: str) -> Answering:
        answering = self._answers.get(prompt) or Answering()
        remember(self._answers, prompt, answering, limit=MOST_OPEN // 10)
        return answering

    def _part(self, _: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        part = table(properties.get("part"))
        message = short(part.get("messageID"))
        if part.get("type") == "tool":
            yield from self._tool(session, part, message)
        elif part.get("type") == "text" and not part.get("synthetic") and not part.get("ignored"):
            words = shortened(part.get("text"), LONGEST)
            if message in self._prompts:
                if not self.is_done(f"prompt {message}"):
                    yield "prompt", {"message": message, "text": words}
            elif message in self._parents:
                self._answering(self._parents[message]).take(message, short(part.get("id")), words)

    def _tool(self, session: AgentSession, part: Mapping[str, Any], message: str) -> Reported:
        state, identifier = table(part.get("state")), short(part.get("id"))
        status = state.get("status")
        call = {"tool": short(part.get("tool")), "call": short(part.get("callID"))}
        if (status == "running" or status in ENDED) and not self.is_done(f"tool {identifier}"):
            remember(session.open_calls, identifier, message, limit=MOST_OPEN // 10)
            yield "tool-start", {**call, "input": table(state.get("input"))}
        if status in ENDED and not self.is_done(f"tool-end {identifier}"):
            session.open_calls.pop(identifier, None)
            yield "tool-end", {**call, **tool_result(state)}

    def _asked(self, identifier: str, session: AgentSession, properties: Mapping[str, Any]) -> Reported:
        request = read_request(dict(properties), session.directory)
        if request is None or self.is_done(f"asked {request.id}"):
            return
        remember(self.requests, request.id, (request.kind, identifier, session.directory), limit=MOST_OPEN)
        yield f"{request.kind}-asked", {"id": request.id, "text": request.wanted, **request.details}

    def _answered(self, _: str, __: AgentSession, properties: Mapping[str, Any]) -> Reported:
        request = short(properties.get("requestID") or properties.get("permissionID"))
        kind = "question" if request.startswith("que_") else "permission"
        self.requests.pop(request, None)
        if self.is_done(f"answered {request}"):
            return
        reply = properties.get("reply", properties.get("response"))
        if kind == "permission":
            yield "permission-answered", {"id": request, "reply": reply if isinstance(reply, str) else None}
        else:
            answers = properties.get("answers")
            yield (
                "question-answered",
                {"id": request, "answers": answers if isinstance(answers, list) else None},
            )
