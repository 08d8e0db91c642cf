"""What sessions wait for people to answer: permission requests and questions. A daemon keeps them by directory."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ocattach.errors import OcattachError, SessionNotFoundError
from ocattach.opencode.api import DaemonClient, absolute
from ocattach.opencode.catalogue import RECENT_SECONDS, Catalogue, read_catalogue
from ocattach.opencode.second import SecondClient
from ocattach.opencode.sessions import (
    PERMISSION_ID,
    QUESTION_ID,
    Content,
    Reply,
    SessionClient,
    SessionFilter,
    check_status,
    is_session_id,
    updated,
)
from ocattach.opencode.versions import is_second
from ocattach.printable import command_line
from ocattach.untrusted_json import objects, shortened

DIRECTORIES = 32
"""The directories of the latest sessions that are queried. The daemon keeps each of them in memory from then on."""

LONGEST = 2000
"""The longest text that is kept, in characters."""

MOST_PARTS, MOST_CHOICES = 16, 64
"""The questions of one request, and the choices of a question or the patterns of a permission, that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A permission request of a session."""

    kind: ClassVar[str] = "permission"

    id: str
    session: str
    directory: str
    permission: str
    """The kind: "bash", "edit", "external_directory"."""

    patterns: tuple[str, ...] = ()
    """What it is about: a command, a path."""

    always: tuple[str, ...] = ()
    """What the reply "always" will allow."""

    @property
    def wanted(self) -> str:
        """The request as shown to people."""
        return f"{self.permission}: {', '.join(self.patterns)}" if self.patterns else self.permission

    @property
    def command(self) -> str:
        """A command that answers it."""
        return command_line("ocattach", "session", "reply", self.id, "once")

    @property
    def details(self) -> dict[str, Any]:
        """The request for events."""
        return {"permission": self.permission, "patterns": list(self.patterns), "always": list(self.always)}


class Part(NamedTuple):
    """One of the questions of a request."""

    text: str
    header: str
    """A short name."""

    choices: tuple[tuple[str, str], ...]
    """The label and the description of each."""

    is_multiple: bool
    """Whether several choices may be taken."""

    is_open: bool
    """Whether an answer may be in the user's words."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the choices."""
        return tuple(label for label, _ in self.choices)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; `custom` says whether an answer may be any text."""
        return {
            "question": self.text,
            "header": self.header,
            "options": [{"label": label, "description": about} for label, about in self.choices],
            "multiple": self.is_multiple,
            "custom": self.is_open,
        }

    @classmethod
    def from_api(cls, content: Content) -> "Part":
        """Read a question; `custom` is true by default (1.18.33)."""
        return cls(
            shortened(content.get("question"), LONGEST),
            shortened(content.get("header"), LONGEST),
            tuple(
                (shortened(each.get("label"), LONGEST), shortened(each.get("description"), LONGEST))
                for each in objects(content.get("options"))[:MOST_CHOICES]
            ),
            is_multiple=content.get("multiple") is True,
            is_open=content.get("custom") is not False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Questions that an agent asks at once."""

    kind: ClassVar[str] = "question"

    id: str
    session: str
    directory: str
    parts: tuple[Part, ...]

    @property
    def wanted(self) -> str:
        """The questions with their choices, as shown to people."""
        return "; ".join(f"{part.text} ({' | '.join(part.labels)})" for part in self.parts)

    @property
    def command(self) -> str:
        """A command that answers it."""
        first = [part.labels[0] if part.labels else "TEXT" for part in self.parts]
        return command_line("ocattach", "session", "answer", self.id, *first)

    @property
    def details(self) -> dict[str, Any]:
        """The request as JSON."""
        return {"questions": [part.to_json() for part in self.parts]}


PendingRequest = Permission | Question


def read_request(content: Content, directory: str) -> PendingRequest | None:
    """Read a request from the API; None if its ids are malformed."""
    identifier, session = content.get("id"), content.get("sessionID")
    if not isinstance(identifier, str) or not is_session_id(session):
        return None
    if PERMISSION_ID.fullmatch(identifier):
        return Permission(
            id=identifier,
            session=session,
            directory=directory,
            permission=shortened(content.get("permission") or content.get("type"), LONGEST),
            patterns=texts(content.get("patterns")),
            always=texts(content.get("always")),
        )
    if QUESTION_ID.fullmatch(identifier):
        parts = objects(content.get("questions"))[:MOST_PARTS]
        return Question(
            id=identifier, session=session, directory=directory, parts=tuple(map(Part.from_api, parts))
        )
    return None


def pending(client: DaemonClient, workdirs: Iterable[str | None]) -> list[tuple[PendingRequest, Content]]:
    """Return the requests in these directories and in those of the latest sessions, each with its session."""
    catalogue = Catalogue(client.await_version(), time.time())
    choice = SessionFilter(since=int((time.time() - RECENT_SECONDS) * 1000))
    read_catalogue(client, choice, catalogue, enough=lambda _: True)
    sessions = {str(each["id"]): each for each in catalogue.sessions}
    latest = sorted(sessions.values(), key=updated, reverse=True)
    directories = dict.fromkeys(absolute(client, workdir) for workdir in workdirs)
    directories |= dict.fromkeys(str(each["directory"]) for each in latest if each.get("directory"))
    daemon = requests_of(client)
    # The daemon's own directory is queried by no name and may be queried by its path, too: each request counts once.
    requests = {
        request.id: request
        for directory in list(directories)[:DIRECTORIES]
        for content in daemon.pending(directory)
        if (request := read_request(content, directory or ""))
    }
    return [(each, sessions.get(each.session) or daemon.get(each.session)) for each in requests.values()]


def by_kind(found: Iterable[tuple[PendingRequest, Content]]) -> dict[str, list[Content]]:
    """Return the JSON of requests by their kind: `permissions` and `questions`."""
    every = list(found)
    kinds = (Permission.kind, Question.kind)
    return {f"{kind}s": [content for each, content in every if each.kind == kind] for kind in kinds}


def reply(client: DaemonClient, permission: Permission, reply: Reply) -> None:
    """Reply to a permission request. Raises OcattachError if the session still waits afterwards."""
    daemon = requests_of(client)
    if isinstance(daemon, SecondClient):
        daemon.reply(permission.session, permission.id, reply)
        check_answered(daemon, permission)
        return
    daemon.reply(permission.id, {"reply": reply}, directory=permission.directory or None)
    if is_pending(daemon, permission):
        # Versions without this path answer with their web page.
        path = f"/session/{permission.session}/permissions/{permission.id}"
        check_status(client.request("POST", path, {"response": reply}), permission.id)
        check_answered(daemon, permission)


def answer(client: DaemonClient, question: Question, answers: Sequence[Sequence[str]] | None) -> None:
    """Answer a question, or reject it if there are no answers: texts for each of its parts.

    Raises OcattachError if the session still waits afterwards.
    """
    daemon, directory = requests_of(client), question.directory or None
    if isinstance(daemon, SecondClient):
        daemon.answer(question.session, question.id, directory, answers)
    else:
        body = None if answers is None else {"answers": [list(each) for each in answers]}
        daemon.reply(question.id, body, directory=directory)
    check_answered(daemon, question)


def requests_of(client: DaemonClient) -> SessionClient | SecondClient:
    """Return what reads and answers the requests of a daemon, by its version."""
    version = client.await_version()
    return SecondClient(client) if is_second(version) else SessionClient(client)


def check_answered(daemon: SessionClient | SecondClient, request: PendingRequest) -> None:
    """Raise OcattachError if a request is still open."""
    if is_pending(daemon, request):
        raise OcattachError(
            f"The daemon accepted the answer, but {request.session} still waits for {request.id}",
            hint=f"Answer in the TUI: {command_line('ocattach', 'session', 'open', request.session)}",
        )


def is_pending(daemon: SessionClient | SecondClient, request: PendingRequest) -> bool:
    """Return whether a request is still open."""
    try:
        return any(each.get("id") == request.id for each in daemon.pending(request.directory or None))
    except SessionNotFoundError:
        return False


def texts(content: Any) -> tuple[str, ...]:
    """Return the first texts of a list, shortened; nothing if it is not a list."""
    found = content[:MOST_CHOICES] if isinstance(content, list) else ()
    return tuple(each[:LONGEST] for each in found if isinstance(each, str))
