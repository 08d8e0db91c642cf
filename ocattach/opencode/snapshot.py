"""The state of a daemon and its latest sessions, for `--status`, in a few requests."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from time import time
from typing import Any, Self

from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import Catalogue, read_activities, read_catalogue
from ocattach.opencode.pending import PendingRequest, read_request
from ocattach.opencode.sessions import Content, SessionFilter

LOOK_SECONDS = 2.0
"""Seconds of one request: a daemon at work on a small machine is slow."""

SESSIONS = 100
"""The number of sessions that are read, the latest first."""

MOST_REQUESTS, MOST_CHARACTERS = 20, 20_000
"""How many requests are kept, and the characters of each; a longer one is left out."""

MORE_DIRECTORIES = 3
"""Directories of the latest sessions that are queried besides the named ones."""


@dataclass(frozen=True, slots=True)
class DaemonSnapshot:
    """The state of a daemon at one time."""

    version: str
    doing: Sequence[tuple[str | None, dict[str, Activity] | None]]
    """Sessions that are not idle, by directory, the named ones first; None if this is not reported."""

    sessions: Sequence[Content]
    is_whole: bool
    """Whether these are all that match `since`."""

    began: float
    since: int | None = None
    """The update time from which sessions were read; None for all."""

    requests: Sequence[PendingRequest] = ()
    """What sessions wait for, each with the directory by which `doing` has it."""

    def to_json(self) -> dict[str, Any]:
        """Return it for another ocattach process."""
        return {**asdict(self), "requests": [request_json(each) for each in self.requests]}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        doing = [
            (directory, None if each is None else {name: Activity(what) for name, what in each.items()})
            for directory, each in record["doing"]
        ]
        requests = [read_request(each, each["directory"]) for each in record["requests"]]
        return cls(**{**record, "doing": doing, "requests": [each for each in requests if each]})


def snapshot(
    client: DaemonClient,
    directories: Sequence[str | None],
    *,
    since: int | None = None,
    more: int = MORE_DIRECTORIES,
) -> DaemonSnapshot:
    """Query a daemon: its version, the activity in these directories, and its latest sessions.

    Up to `more` directories of the latest sessions are included. Raises what `DaemonClient.version` raises.
    """
    began = time()
    version = client.await_version()
    catalogue = Catalogue(version, began)
    choice = SessionFilter(since=since)
    read_catalogue(client, choice, catalogue, enough=lambda _: True, page=SESSIONS)
    read_activities(client, catalogue, directories, at_most=len(directories) + more)
    named = [(directory, catalogue.doing.pop(directory, None)) for directory in directories]
    doing = [*named, *catalogue.doing.items()]
    return DaemonSnapshot(
        version, doing, catalogue.sessions, catalogue.is_whole, began, since, bounded(catalogue.requests)
    )


def bounded(requests: Iterable[tuple[str | None, Content]]) -> list[PendingRequest]:
    """Return those requests that are not too long, at most `MOST_REQUESTS`."""
    read = (read_request(content, directory or "") for directory, content in requests)
    short = (each for each in read if each and len(json.dumps(request_json(each))) <= MOST_CHARACTERS)
    return list({each.id: each for each in islice(short, MOST_REQUESTS)}.values())


def request_json(request: PendingRequest) -> Content:
    """Return a request in the shape of the API, with its directory."""
    return {"id": request.id, "sessionID": request.session, "directory": request.directory, **request.details}
