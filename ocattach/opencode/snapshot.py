"""The state of a daemon and its latest sessions, for `--status`, in a few requests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import time
from typing import Any, Self

from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import Catalogue, read_activities, read_catalogue
from ocattach.opencode.sessions import Content, SessionFilter

LOOK_SECONDS = 2.0
"""Seconds of one request: a daemon at work on a small machine is slow."""

AGAIN_SECONDS = 2.5
"""How long the version is retried: a request during the start of the daemon is never answered."""

SESSIONS = 100
"""The number of sessions that are read, the latest first."""

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

    def to_json(self) -> dict[str, Any]:
        """Return it for another ocattach process."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        doing = [
            (directory, None if each is None else {name: Activity(what) for name, what in each.items()})
            for directory, each in record["doing"]
        ]
        return cls(doing=doing, **{name: record[name] for name in record if name != "doing"})


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
    version = client.await_version(timeout=AGAIN_SECONDS)
    catalogue = Catalogue(version, began)
    choice = SessionFilter(since=since)
    read_catalogue(client, choice, catalogue, enough=lambda _: True, page=SESSIONS)
    read_activities(client, catalogue, directories, at_most=len(directories) + more)
    named = [(directory, catalogue.doing.pop(directory, None)) for directory in directories]
    doing = [*named, *catalogue.doing.items()]
    return DaemonSnapshot(version, doing, catalogue.sessions, catalogue.is_whole, began, since)
