"""What the sessions of a daemon wait to be allowed, and answering it. A daemon keeps both by directory."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ocattach.errors import OcattachError
from ocattach.opencode.activity import absolute
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import RECENT_SECONDS, Catalogue, read_catalogue
from ocattach.opencode.sessions import (
    PERMISSION_ID,
    SESSION_ID,
    Content,
    Reply,
    SessionClient,
    SessionFilter,
    check_status,
    updated,
)
from ocattach.opencode.snapshot import AGAIN_SECONDS

DIRECTORIES = 32
"""Those of the latest sessions that are asked about: for each the daemon keeps much in memory from then on."""

LONGEST = 2000
"""Characters of what is to be allowed that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Something that a session waits for a person to allow."""

    id: str
    session: str
    directory: str
    permission: str
    """The kind: "bash", "edit", "external_directory"."""

    patterns: tuple[str, ...] = ()
    """What of it: the command, the path."""

    always: tuple[str, ...] = ()
    """What "always" would allow from then on."""

    @property
    def wanted(self) -> str:
        """What it wants, as people read it."""
        return f"{self.permission}: {', '.join(self.patterns)}" if self.patterns else self.permission

    @classmethod
    def from_api(cls, content: Content, directory: str) -> "Waiting | None":
        """What the daemon tells of it; None for what cannot be answered."""
        identifier, session = content.get("id"), content.get("sessionID")
        if not (isinstance(identifier, str) and PERMISSION_ID.fullmatch(identifier)):
            return None
        if not (isinstance(session, str) and SESSION_ID.fullmatch(session)):
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
    """All that is being waited for in these directories and those of the latest sessions; each with its session."""
    catalogue = Catalogue(client.await_version(timeout=AGAIN_SECONDS), time.time())
    choice = SessionFilter(since=int((time.time() - RECENT_SECONDS) * 1000))
    read_catalogue(client, choice, catalogue, enough=lambda _: True)
    sessions = {str(each.get("id")): each for each in catalogue.sessions}
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
    """Answer what a session waits for. Raises OcattachError where it goes on waiting."""
    daemon = SessionClient(client)
    daemon.reply(asked.id, reply, directory=asked.directory or None)
    if is_waiting(daemon, asked):
        # Versions without this request answer it with their web page, as they do whatever they do not know.
        path = f"/session/{asked.session}/permissions/{asked.id}"
        check_status(client.request("POST", path, {"response": reply}), asked.id)
        if is_waiting(daemon, asked):
            raise OcattachError(
                f"The daemon took the answer, and {asked.session} still waits for {asked.id}",
                hint=f"Answer it in the TUI: ocattach session open {asked.session}",
            )


def is_waiting(client: SessionClient, asked: Waiting) -> bool:
    """Whether it still waits to be answered."""
    return any(each.get("id") == asked.id for each in client.permissions(asked.directory or None))


def texts(content: Any) -> tuple[str, ...]:
    """The texts in what should be a list of them."""
    found: Sequence[Any] = content if isinstance(content, list) else ()
    return tuple(each[:LONGEST] for each in found if isinstance(each, str))
