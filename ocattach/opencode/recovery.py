"""Identifies the prompts of clients and finds them again in a daemon, so that a lost connection loses none.

Seen on 1.18.33: a prompt that arrives several times with the same ids of its message and of its parts is one message
and gets one answer, but one whose run was aborted would run again. The response to `message` is the last assistant
message when the session is idle, or with `noReply` the prompt itself; `prompt_async` is answered with 204.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from ocattach.errors import SessionNotFoundError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.prompts import PromptClient, identifier, time_of
from ocattach.opencode.sessions import Content, SessionClient
from ocattach.untrusted_json import table

MESSAGES = 100
"""How many of the latest messages are searched for the answer."""


class Recovery:
    """Implements `tunnel.prompt.PromptRecovery`. `connect` returns a client of the current daemon."""

    def __init__(self, connect: Callable[[], DaemonClient]) -> None:
        self._connect = connect

    def identify(self, session: str, body: bytes, *, waits: bool) -> "Identified | None":
        """Add the ids that a prompt lacks; None for a body that is not a prompt, or without such a session."""
        content = read_prompt(body)
        if content is None:
            return None
        if not isinstance(content.get("messageID"), str):
            try:
                moment = PromptClient(self._connect()).next_moment(session)
            except SessionNotFoundError:  # OpenCode's response says so
                return None
            content["messageID"] = identifier("msg", moment)
        moment = time_of(content["messageID"])
        for number, part in enumerate(content["parts"]):  # OpenCode sorts them by their ids
            part.setdefault("id", identifier("prt", moment + number))
        repeats_itself = waits and content.get("noReply") is True
        return Identified(
            json.dumps(content, allow_nan=False).encode(),
            self._connect,
            session,
            content["messageID"],
            tuple(str(part["id"]) for part in content["parts"] if part.get("type") == "text"),
            has_run=waits and not repeats_itself,
            repeats_itself=repeats_itself,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What the daemon has of a prompt. Implements `tunnel.prompt.Arrival`."""

    has_arrived: bool
    is_running: bool = False
    has_begun: bool = False
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """A prompt with ids. Implements `tunnel.prompt.IdentifiedPrompt`."""

    body: bytes
    _connect: Callable[[], DaemonClient]
    _session: str
    _message: str
    _texts: tuple[str, ...]
    """The ids of its texts; OpenCode makes other parts of files."""

    has_run: bool
    repeats_itself: bool
    """Whether the response is the prompt itself."""

    def find(self) -> "Found":
        """Ask the daemon for the prompt, and for its answer."""
        client = self._connect()
        stored = PromptClient(client).find(self._session, self._message, self._texts)
        if stored is None:
            return Found(has_arrived=False)
        if not self.has_run:
            return Found(has_arrived=True, answer=stored if self.repeats_itself else b"")
        sessions = SessionClient(client)
        directory = sessions.get(self._session).get("directory")
        if self._session in sessions.statuses(directory if isinstance(directory, str) else None):
            return Found(has_arrived=True, is_running=True)
        latest, _ = sessions.messages(self._session, limit=MESSAGES)
        infos = [(message, table(message.get("info"))) for message in latest]
        answers = [
            message
            for message, info in infos
            if info.get("role") == "assistant" and info.get("parentID") == self._message
        ]
        is_complete = bool(answers) and has_ended(answers[-1])
        answer = json.dumps(answers[-1]).encode() if is_complete else None
        return Found(has_arrived=True, has_begun=bool(answers), answer=answer)


def read_prompt(body: bytes) -> Content | None:
    """Return the content of a prompt; None for anything that cannot be written again as it was."""
    try:
        content = json.loads(body)
        json.dumps(content, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    parts = content.get("parts") if isinstance(content, dict) else None
    is_prompt = isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
    return content if is_prompt else None


def has_ended(answer: Content) -> bool:
    """Return whether an answer is complete or has failed."""
    return "error" in answer["info"] or "completed" in table(answer["info"].get("time"))
