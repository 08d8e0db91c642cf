"""OpenCode's sessions over HTTP: every URL and shape that has to do with them (1.18.33, `version` 1 throughout).

What comes back is JSON as OpenCode has it, of the kind that was promised and otherwise unread: see `sessions.record`.
"""

import http.client
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode

from ocattach.errors import SessionNotFoundError, UsageError
from ocattach.opencode.api import DaemonClient, request_error
from ocattach.opencode.endpoint import Response

Content = dict[str, Any]
"""A JSON object."""

Reply = Literal["once", "always", "reject"]
"""What a permission can be answered."""

PAGE = 1000
"""Sessions of one request, of which each costs the daemon a look at all: some 400 bytes each, of the 16 MiB allowed."""

MOST = 100_000
"""Sessions of one environment that are looked at: one that goes on for ever is not followed."""

SESSION_ID = re.compile(r"ses_[A-Za-z0-9]{1,60}")
PERMISSION_ID = re.compile(r"per_[A-Za-z0-9]{1,60}")


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, the latest first, and where the next ones begin."""

    sessions: list[Content]
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are asked for."""

    roots: bool = False
    """None that other sessions have made."""

    archived: bool = False
    """Also those that were put into the archive."""

    search: str = ""
    """A part of the title, large or small."""

    since: int | None = None
    """Updated at or after, in milliseconds since the epoch."""

    def to_query(self) -> dict[str, str | int]:
        """The same as OpenCode has it (1.18.33); what is not wanted is left out."""
        query: dict[str, str | int] = {"search": self.search} if self.search else {}
        query |= {"roots": "true"} if self.roots else {}
        query |= {"archived": "true"} if self.archived else {}
        return query if self.since is None else {**query, "start": self.since}

    def takes(self, session: Content) -> bool:
        """Whether a session is one of these, for daemons that cannot be asked so."""
        time = session.get("time")
        return (
            not (self.roots and session.get("parentID"))
            and (self.archived or not (isinstance(time, dict) and time.get("archived")))
            and self.search.lower() in str(session.get("title")).lower()
            and updated(session) >= (self.since or 0)
        )


class SessionClient:
    """Session requests to one daemon. Every method raises what `DaemonClient.request` raises, and OcattachError."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def page(self, choice: SessionFilter, *, limit: int = PAGE, cursor: int | None = None) -> Page:
        """One page of the sessions of all projects and directories, the latest first: those before a cursor."""
        query = urlencode({"limit": limit, **choice.to_query(), **({"cursor": cursor} if cursor else {})})
        answer = self._client.request("GET", f"/experimental/session?{query}")
        return Page(objects(read_list(answer)), is_last=not answer.next_cursor)

    def pages(self, choice: SessionFilter, *, limit: int = PAGE) -> Iterator[Page]:
        """All pages, one after the other, each asked for when it is wanted; no session comes twice, and none is lost.

        What is updated while this goes on would move before the pages that were given already: it comes at the end.
        """
        told: set[str] = set()
        newest, cursor, size = 0, None, limit
        while True:
            page = self.page(choice, limit=size, cursor=cursor)
            fresh = unseen(page.sessions, told)
            stamps = [updated(each) for each in page.sessions]
            newest = newest or max(stamps, default=0)
            if page.is_last or not stamps:
                break
            yield Page(fresh, is_last=False)
            # OpenCode's own cursor is the last one's stamp, and leaves out the others that have the same (1.18.33).
            following = stamps[-1] + 1
            size = limit if following != cursor else min(2 * size, MOST)
            if following == cursor and size == MOST:
                break
            cursor = following
        if cursor is not None:
            late = self.page(replace(choice, since=max(newest, choice.since or 0)), limit=MOST)
            fresh += unseen(late.sessions, told)
        yield Page(fresh, is_last=True)

    def of_project(self, choice: SessionFilter) -> Page:
        """For versions without such a list (1.1.65): the sessions of the project that the daemon was started in."""
        answer = self._client.request("GET", f"/session?limit={MOST}")
        found = [each for each in objects(read_list(answer)) if choice.takes(each)]
        return Page(sorted(found, key=updated, reverse=True), is_last=True)

    def get(self, session: str) -> Content:
        """One session. Raises SessionNotFoundError."""
        return read_object(self._of(session, "GET"), session)

    def create(self, directory: str | None, *, metadata: Mapping[str, Any], title: str = "") -> Content:
        """A new session in a directory."""
        where = f"?directory={quote(directory, safe='')}" if directory else ""
        body = {"metadata": dict(metadata), **({"title": title} if title else {})}
        return read_object(self._client.request("POST", f"/session{where}", body))

    def patch_metadata(self, session: str, metadata: Mapping[str, Any]) -> Content:
        """Put this in the place of a session's whole metadata, which also makes it the latest updated."""
        return read_object(self._of(session, "PATCH", body={"metadata": dict(metadata)}), session)

    def delete(self, session: str) -> None:
        """Delete a session with its children. Raises SessionNotFoundError."""
        check_status(self._of(session, "DELETE"), session)

    def messages(
        self, session: str, *, limit: int | None = None, before: str | None = None
    ) -> tuple[list[Content], str | None]:
        """The last messages of a session, oldest first: {"info", "parts"}; and what `before` gives those before."""
        wanted = {name: value for name, value in (("limit", limit), ("before", before)) if value is not None}
        answer = self._of(session, "GET", f"/message?{urlencode(wanted)}" if wanted else "/message")
        check_status(answer, session)
        return objects(read_list(answer)), answer.next_cursor or None

    def statuses(self, directory: str | None) -> dict[str, Content]:
        """What the sessions of a directory do that are not idle, by id: {"type": "busy"} or {"type": "retry", …}."""
        content = read_object(self._client.request("GET", f"/session/status{in_directory(directory)}"))
        return {session: status for session, status in content.items() if isinstance(status, dict)}

    def permissions(self, directory: str | None) -> list[Content]:
        """What is being waited for in a directory: {"id", "sessionID", "permission", "patterns", "metadata", …}."""
        return objects(read_list(self._client.request("GET", f"/permission{in_directory(directory)}")))

    def reply(self, permission: str, reply: Reply, *, directory: str | None, message: str = "") -> None:
        """Answer what is being waited for; the directory is the session's. Raises SessionNotFoundError."""
        if not PERMISSION_ID.fullmatch(permission):
            raise UsageError(f"{permission!r} is no permission's id, which looks like per_…")
        body = {"reply": reply, **({"message": message} if message else {})}
        where = in_directory(directory)
        check_status(self._client.request("POST", f"/permission/{permission}/reply{where}", body), permission)

    def abort(self, session: str) -> None:
        """Break off what a session does; harmless where it does nothing. Raises SessionNotFoundError."""
        check_status(self._of(session, "POST", "/abort"), session)

    def prompt(self, session: str, text: str, **more: Any) -> None:
        """Hand over a prompt and return at once; `more` are further keys of the request, such as `model`, `agent`."""
        body = {"parts": [{"type": "text", "text": text}], **more}
        check_status(self._of(session, "POST", "/prompt_async", body=body), session)

    def _of(self, session: str, method: str, path: str = "", *, body: Any = None) -> Response:
        return self._client.request(method, f"/session/{checked(session)}{path}", body)


def checked(session: str) -> str:
    """A session's id. Raises UsageError for what cannot be one: OpenCode answers 500 to that."""
    if not SESSION_ID.fullmatch(session):
        raise UsageError(
            f"{session!r} is no session's id, which looks like ses_…",
            hint="All are listed by: ocattach session list",
        )
    return session


def in_directory(directory: str | None) -> str:
    """A query that says where."""
    return f"?directory={quote(directory, safe='')}" if directory else ""


def check_status(answer: Response, thing: str = "") -> None:
    """See that a request has succeeded. Raises SessionNotFoundError, or OcattachError as OpenCode words it."""
    if answer.status in {http.client.OK, http.client.NO_CONTENT}:
        return
    if answer.status == http.client.NOT_FOUND and thing:
        raise SessionNotFoundError(f"The daemon has no {thing}", hint="What there is: ocattach session list")
    raise request_error(answer.status, answer.json())


def read_object(answer: Response, thing: str = "") -> Content:
    """The JSON object of an answer. Raises what `check_status` raises."""
    check_status(answer, thing)
    content = answer.json()
    if not isinstance(content, dict):
        raise request_error(answer.status, content)
    return content


def read_list(answer: Response) -> list[Any]:
    """The JSON list of an answer. Raises OcattachError."""
    check_status(answer)
    content = answer.json()
    if not isinstance(content, list):
        raise request_error(answer.status, content)
    return content


def unseen(sessions: Sequence[Content], told: set[str]) -> list[Content]:
    """Those that are not among the told, which they then are."""
    fresh = {str(each.get("id")): each for each in sessions if str(each.get("id")) not in told}
    told.update(fresh)
    return list(fresh.values())


def updated(session: Content) -> int:
    """When a session was last updated, in milliseconds since the epoch."""
    time = session.get("time")
    stamp = time.get("updated") if isinstance(time, dict) else None
    return stamp if isinstance(stamp, int) else 0


def objects(content: Sequence[Any]) -> list[Content]:
    """The JSON objects of a list; what else is there nobody has promised."""
    return [each for each in content if isinstance(each, dict)]
