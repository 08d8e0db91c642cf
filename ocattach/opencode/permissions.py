"""Permission requests of sessions, and replies to them. A daemon keeps them by directory."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ocattach.errors import OcattachError
from ocattach.opencode.activity import absolute
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import RECENT_SECONDS, Catalogue, read_catalogue
from ocattach.opencode.sessions import (
    PERMISSION_ID,
    Content,
    Reply,
    SessionClient,
    SessionFilter,
    check_status,
    is_session_id,
    updated,
)
from ocattach.opencode.snapshot import AGAIN_SECONDS
from ocattach.printable import command_line

DIRECTORIES = 32
"""The directories of the latest sessions that are queried. The daemon keeps each of them in memory from then on."""

LONGEST = 2000
"""The longest text that is kept, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A permission request of a session."""

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

    @classmethod
    def from_api(cls, content: Content, directory: str) -> "Waiting | None":
        """Read a request; None if its ids are malformed."""
        identifier, session = content.get("id"), content.get("sessionID")
        if not (isinstance(identifier, str) and PERMISSION_ID.fullmatch(identifier)):
            return None
        if not is_session_id(session):
            return None
        return cls(
            id=identifier,
            session=session,
            directory=directory,
            permission=str(content.get("permission") or content.get("type") or "")[:LONGEST],
            patterns=texts(content.get("patterns")),
            always=texts(content.get("always")),
        )


def waiting(client: DaemonClient, workdirs: Iterable[str | None]) -> list[tuple[Waiting, Content]]:
    """Return the requests in these directories and in those of the latest sessions, each with its session."""
    catalogue = Catalogue(client.await_version(timeout=AGAIN_SECONDS), time.time())
    choice = SessionFilter(since=int((time.time() - RECENT_SECONDS) * 1000))
    read_catalogue(client, choice, catalogue, enough=lambda _: True)
    sessions = {str(each["id"]): each for each in catalogue.sessions}
    latest = sorted(sessions.values(), key=updated, reverse=True)
    directories = dict.fromkeys(absolute(client, workdir) for workdir in workdirs)
    directories |= dict.fromkeys(str(each["directory"]) for each in latest if each.get("directory"))
    daemon = SessionClient(client)
    return [
        (asked, sessions.get(asked.session) or daemon.get(asked.session))
        for directory in list(directories)[:DIRECTORIES]
        for content in daemon.permissions(directory)
        if (asked := Waiting.from_api(content, directory or ""))
    ]


def answer(client: DaemonClient, asked: Waiting, reply: Reply) -> None:
    """Reply to a request. Raises OcattachError if the session still waits afterwards."""
    daemon = SessionClient(client)
    daemon.reply(asked.id, reply, directory=asked.directory or None)
    if is_waiting(daemon, asked):
        # Versions without this path answer with their web page.
        path = f"/session/{asked.session}/permissions/{asked.id}"
        check_status(client.request("POST", path, {"response": reply}), asked.id)
        if is_waiting(daemon, asked):
            raise OcattachError(
                f"The daemon accepted the reply, but {asked.session} still waits for {asked.id}",
                hint=f"Reply in the TUI: {command_line('ocattach', 'session', 'open', asked.session)}",
            )


def is_waiting(client: SessionClient, asked: Waiting) -> bool:
    """Return whether a request is still open."""
    return any(each.get("id") == asked.id for each in client.permissions(asked.directory or None))


def texts(content: Any) -> tuple[str, ...]:
    """Return the texts of a list; nothing if it is not a list."""
    found = content if isinstance(content, list) else ()
    return tuple(each[:LONGEST] for each in found if isinstance(each, str))
