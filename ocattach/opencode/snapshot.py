"""What a daemon is doing and what it has, for whoever only looks around: in few requests, and never all it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Self

from ocattach.opencode.activity import Activity
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import Catalogue, read_activities, read_catalogue
from ocattach.opencode.sessions import Content, SessionFilter
from ocattach.opencode.versions import is_second

LOOK_SECONDS = 2.0
"""How long a daemon may take for each answer: one that works hard on a small machine is slow, and not gone."""

AGAIN_SECONDS = 2.5
"""How long another try is made: a request that meets the daemon's start is never answered."""

SESSIONS = 100
"""Sessions that are looked at: those that were updated last."""

MORE_DIRECTORIES = 3
"""Directories that are asked about besides those that are named: where something was done lately."""

KEPT = ("id", "parentID", "title", "directory", "projectID", "time", "cost", "tokens", "model", "agent")

LONGEST = 1000
"""Characters of a text that go from one process of ours to another."""


@dataclass(frozen=True, slots=True)
class DaemonSnapshot:
    """What was seen."""

    version: str
    doing: Sequence[tuple[str | None, dict[str, Activity] | None]]
    """Directories with their sessions that are not idle; None: the daemon does not tell. The named ones come first."""

    sessions: Sequence[Content]
    is_whole: bool
    """Whether there are no others, of those that were asked for."""

    began: float
    since: int | None = None
    """The stamp from which on sessions were asked for; None for all."""

    def to_json(self) -> dict[str, Any]:
        """The same for another process of ours, without what nobody reads."""
        return {
            "version": self.version,
            "doing": [list(pair) for pair in self.doing],
            "sessions": [slim(session) for session in self.sessions],
            "is_whole": self.is_whole,
            "began": self.began,
            "since": self.since,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        doing = [
            (directory, None if each is None else {name: Activity(what) for name, what in each.items()})
            for directory, each in record["doing"]
        ]
        return cls(doing=doing, **{name: record[name] for name in record if name != "doing"})


def slim(session: Content) -> Content:
    """What is read of a session."""
    metadata = session.get("metadata")
    origin = metadata.get("origin") if isinstance(metadata, dict) else None
    kept = {name: session[name] for name in KEPT if name in session}
    kept |= {
        name: text[:LONGEST] for name in ("title", "directory") if isinstance(text := kept.get(name), str)
    }
    return {**kept, "metadata": {"origin": origin}} if isinstance(origin, str) else kept


def snapshot(
    client: DaemonClient,
    directories: Sequence[str | None],
    *,
    since: int | None = None,
    more: int = MORE_DIRECTORIES,
) -> DaemonSnapshot:
    """A daemon's version, what is worked on in these directories, and its latest sessions: `since` a stamp, or any.

    `more` is in how many other directories it is asked what is worked on.

    Raises what `DaemonClient.version` raises.
    """
    began = time()
    version = client.await_version(timeout=AGAIN_SECONDS)
    catalogue = Catalogue(version, began)
    if not is_second(version):  # what it answers about sessions could not be tried
        choice = SessionFilter(since=since)
        read_catalogue(client, choice, catalogue, enough=lambda _: True, page=SESSIONS)
        read_activities(client, catalogue, directories, at_most=len(directories) + more)
    named = [(directory, catalogue.doing.pop(directory, None)) for directory in directories]
    doing = [*named, *catalogue.doing.items()]
    return DaemonSnapshot(version, doing, catalogue.sessions, catalogue.is_whole, began, since)
