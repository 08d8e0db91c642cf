"""OpenCode's session API: all its URLs and shapes (1.18.33, `version` 1 throughout).

Ids, times and numbers of lists are checked here. Other values of JSON objects are not: see `sessions.record`.
"""

import http.client
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeGuard

from ocattach.errors import SessionNotFoundError, UsageError
from ocattach.opencode.api import DaemonClient, query, request_error
from ocattach.opencode.endpoint import Response
from ocattach.untrusted_json import objects, table

Content = dict[str, Any]
"""A JSON object."""

Reply = Literal["once", "always", "reject"]
"""The replies to a permission request."""

PAGE = 1000
"""Sessions of one request: about 400 bytes each, of at most 16 MiB. The daemon reads all sessions for each request."""

MOST = 100_000
MOST_BYTES = 64 * 1024 * 1024
"""The largest number of sessions of one environment that are read, and about how many bytes of them."""

MOST_PENDING = 100
"""How many permission requests and questions of a directory are read. Each costs further requests."""

LATEST = 253_402_214_400_000
"""The last day of the year 9999 in milliseconds since the epoch: `datetime` knows no later one."""

SESSION_ID = re.compile(r"ses_[A-Za-z0-9]{1,76}")
PERMISSION_ID = re.compile(r"per_[A-Za-z0-9]{1,60}")
QUESTION_ID = re.compile(r"(?:que|frm)_[A-Za-z0-9]{1,60}")
"""A question, or a form of OpenCode 2."""

TEXTS = {"id": 80, "parentID": 80, "title": 1000, "directory": 1000, "projectID": 80, "agent": 100}
TABLES = ("time", "tokens", "model")
"""The values of a session in a list that are kept, of texts at most so many characters."""

LONGEST_NAME = 100
LARGEST_TABLE = 8
"""The largest text and number of values in one of `TABLES`; OpenCode has at most five."""


class Page(NamedTuple):
    """Some sessions, the latest first."""

    sessions: list[Content]
    is_last: bool
    size: int = 0
    """In bytes, as it was sent."""


class SessionFilter(NamedTuple):
    """Which sessions to list."""

    roots: bool = False
    """Only sessions that no other session created."""

    archived: bool = False
    search: str = ""
    """A part of the title, in upper or lower case."""

    since: int | None = None
    """Updated at or after, in milliseconds since the epoch."""

    def takes(self, session: Content) -> bool:
        """Return whether a session matches, for daemons that do not filter."""
        return (
            not (self.roots and session.get("parentID"))
            and (self.archived or not table(session.get("time")).get("archived"))
            and self.search.lower() in str(session.get("title")).lower()
            and updated(session) >= (self.since or 0)
        )


class SessionClient:
    """Session requests to one daemon. Methods raise what `DaemonClient.request` raises, and OcattachError."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def page(self, choice: SessionFilter, *, limit: int = PAGE, cursor: int | None = None) -> Page:
        """Return one page of the sessions of all projects: those before the cursor, the latest first."""
        where = query(
            limit=limit,
            search=choice.search,
            roots="true" if choice.roots else None,
            archived="true" if choice.archived else None,
            start=choice.since,
            cursor=cursor,
        )
        answer = self._client.request("GET", f"/experimental/session{where}")
        return Page(read_sessions(answer), is_last=not answer.next_cursor, size=len(answer.body))

    def pages(self, choice: SessionFilter, *, limit: int = PAGE) -> Iterator[Page]:
        """Return all pages, each requested when it is needed. No session is repeated or missing.

        Sessions that are updated meanwhile move to pages that were returned already: they are added to the last page.
        Ends without a last page if there are too many sessions, or if a page has nothing new.
        """
        seen: set[str] = set()
        newest, cursor, size, read = 0, None, limit, 0
        while True:
            page = self.page(choice, limit=size, cursor=cursor)
            fresh = unseen(page.sessions, seen)
            stamps = [updated(each) for each in page.sessions]
            newest = newest or max(stamps, default=0)
            if page.is_last or not stamps:
                break
            yield Page(fresh, is_last=False)
            # OpenCode's own cursor is the last one's stamp, and leaves out the others that have the same (1.18.33).
            following = stamps[-1] + 1
            read += page.size
            if len(seen) >= MOST or read >= MOST_BYTES or not (fresh or following == cursor):
                return
            size = limit if following != cursor else min(2 * size, MOST)
            if following == cursor and size == MOST:
                break
            cursor = following
        if cursor is not None:
            late = self.page(choice._replace(since=max(newest, choice.since or 0)), limit=MOST)
            fresh += unseen(late.sessions, seen)
        yield Page(fresh, is_last=True)

    def of_project(self, choice: SessionFilter) -> Page:
        """Return the sessions of the daemon's project, for versions that cannot list all projects (1.1.65)."""
        answer = self._client.request("GET", f"/session?limit={MOST}")
        found = [each for each in read_sessions(answer) if choice.takes(each)]
        return Page(sorted(found, key=updated, reverse=True), is_last=True)

    def get(self, session: str) -> Content:
        """Return one session. Raises SessionNotFoundError."""
        return read_object(self._of(session, "GET"), session)

    def create(self, directory: str | None, *, metadata: Mapping[str, Any], title: str = "") -> Content:
        """Create a session in a directory. Without a title OpenCode makes one from the first prompt."""
        body = {"metadata": dict(metadata), **({"title": title} if title else {})}
        return read_object(self._client.request("POST", f"/session{query(directory=directory)}", body))

    def patch_metadata(self, session: str, metadata: Mapping[str, Any]) -> Content:
        """Replace the metadata of a session. This counts as an update."""
        return read_object(self._of(session, "PATCH", body={"metadata": dict(metadata)}), session)

    def delete(self, session: str) -> None:
        """Delete a session with its children. Raises SessionNotFoundError."""
        check_status(self._of(session, "DELETE"), session)

    def messages(
        self, session: str, *, limit: int | None = None, before: str | None = None
    ) -> tuple[list[Content], str | None]:
        """Return the last messages, oldest first: {"info", "parts"}; and `before` for the page before these."""
        answer = self._of(session, "GET", f"/message{query(limit=limit, before=before)}")
        check_status(answer, session)
        return objects(read_list(answer)), answer.next_cursor or None

    def message_pages(self, session: str, *, limit: int) -> Iterator[list[Content]]:
        """Yield all messages of a session by pages, each requested when it is needed, the last page first."""
        before: str | None = None
        while True:
            page, cursor = self.messages(session, limit=limit, before=before)
            yield page
            if not page or cursor is None:
                return
            before = cursor

    def statuses(self, directory: str | None) -> dict[str, Content]:
        """Return the statuses of a directory that are not idle: {"type": "busy"} or {"type": "retry", …}."""
        content = read_object(self._client.request("GET", f"/session/status{query(directory=directory)}"))
        return {
            session: status
            for session, status in content.items()
            if is_session_id(session) and isinstance(status, dict)
        }

    def pending(self, directory: str | None) -> list[Content]:
        """Return the open permission requests and questions of a directory.

        {"id": "per_…", "sessionID", "permission", "patterns", …} and {"id": "que_…", "sessionID", "questions"}.
        """
        permissions = self._client.request("GET", f"/permission{query(directory=directory)}")
        # Versions without questions answer with their web page.
        questions = self._client.request("GET", f"/question{query(directory=directory)}")
        return [*objects(read_list(permissions)), *objects(questions.json())][:MOST_PENDING]

    def reply(self, request: str, body: Content | None, *, directory: str | None) -> None:
        """Reply to a permission request or question of a session in a directory; without a body, reject a question.

        Raises SessionNotFoundError.
        """
        kind = "question" if QUESTION_ID.fullmatch(request) else "permission"
        path = f"/{kind}/{request}/{'reject' if body is None else 'reply'}{query(directory=directory)}"
        check_status(self._client.request("POST", path, body or {}), request)

    def abort(self, session: str) -> None:
        """Abort the run of a session, if there is one. Raises SessionNotFoundError."""
        check_status(self._of(session, "POST", "/abort"), session)

    def _of(self, session: str, method: str, path: str = "", *, body: Any = None) -> Response:
        return self._client.request(method, f"/session/{checked(session)}{path}", body)


def is_session_id(content: object) -> TypeGuard[str]:
    """Return whether a value is the id of a session: `ses_`, letters and digits, at most 80 characters."""
    return isinstance(content, str) and SESSION_ID.fullmatch(content) is not None


def checked(session: str) -> str:
    """Return a session id. Raises UsageError if it is malformed, which OpenCode answers with 500."""
    if not is_session_id(session):
        raise UsageError(
            f"{session!r} is not a session id, such as ses_…", hint="List them: ocattach session list"
        )
    return session


def check_status(answer: Response, thing: str = "") -> None:
    """Raise SessionNotFoundError or OcattachError if a request failed."""
    if answer.status in {http.client.OK, http.client.NO_CONTENT}:
        return
    if answer.status == http.client.NOT_FOUND and thing:
        raise SessionNotFoundError(
            f"The daemon has no {thing}", hint="List the sessions: ocattach session list"
        )
    raise request_error(answer.status, answer.json())


def read_object(answer: Response, thing: str = "") -> Content:
    """Return the JSON object of a response. Raises what `check_status` raises."""
    check_status(answer, thing)
    content = answer.json()
    if not isinstance(content, dict):
        raise request_error(answer.status, content)
    return content


def read_list(answer: Response) -> list[Any]:
    """Return the JSON list of a response. Raises OcattachError."""
    check_status(answer)
    content = answer.json()
    if not isinstance(content, list):
        raise request_error(answer.status, content)
    return content


def read_sessions(answer: Response) -> list[Content]:
    """Return the sessions in a response, without values that are not used. Raises OcattachError."""
    return [slim(each) for each in objects(read_list(answer)) if is_session_id(each.get("id"))]


def slim(session: Content) -> Content:
    """Return the values of a session that are used, with short texts."""
    kept: Content = {
        name: value[:longest]
        for name, longest in TEXTS.items()
        if isinstance(value := session.get(name), str)
    }
    kept |= {name: slim_table(value) for name in TABLES if isinstance(value := session.get(name), dict)}
    if isinstance(cost := session.get("cost"), int | float):
        kept["cost"] = cost
    metadata = table(session.get("metadata"))
    if "origin" in metadata:
        origin = metadata["origin"]
        kept["metadata"] = {"origin": origin[:LONGEST_NAME] if isinstance(origin, str) else None}
    return kept


def slim_table(content: Content, levels: int = 2) -> Content:
    """Return a small object with its numbers, short texts, and the objects in it."""
    kept: Content = {}
    for name, value in content.items():
        if isinstance(value, str):
            kept[name] = value[:LONGEST_NAME]
        elif isinstance(value, int | float):
            kept[name] = value
        elif isinstance(value, dict) and levels > 1:
            kept[name] = slim_table(value, levels - 1)
        if len(kept) == LARGEST_TABLE:
            break
    return kept


def unseen(sessions: Sequence[Content], seen: set[str]) -> list[Content]:
    """Return the sessions whose ids are not in `seen`, and add them."""
    fresh = {each["id"]: each for each in sessions if each["id"] not in seen}
    seen.update(fresh)
    return list(fresh.values())


def updated(session: Content) -> int:
    """Return when a session was last updated, in milliseconds since the epoch."""
    return stamp(table(session.get("time")).get("updated"))


def stamp(content: object) -> int:
    """Read a time in milliseconds since the epoch; 0 for anything else."""
    if isinstance(content, bool) or not isinstance(content, int | float):
        return 0
    return int(content) if 0 <= content <= LATEST else 0
