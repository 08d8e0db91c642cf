"""The sessions of one daemon, as far as they are wanted, and what they are doing."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ocattach.opencode.activity import Activity, absolute, activities
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import PAGE, Content, Page, SessionClient, SessionFilter, updated
from ocattach.opencode.versions import Version, is_second, parse_version

LACKS_CATALOGUE = Version(1, 1, 65)
"""It has no list over all projects; 1.14.41 has, and what lies between was not tried."""

DIRECTORIES = 8
"""Directories whose sessions are asked what they do: for each of them the daemon keeps much in memory from then on."""

RECENT_SECONDS = 7 * 24 * 3600
"""A session that was updated before that does nothing: nobody waits that long."""


@dataclass(slots=True)
class Catalogue:
    """What a daemon has told."""

    version: str
    began: float
    """When asking began, in seconds since the epoch."""

    sessions: list[Content] = field(default_factory=list)
    is_whole: bool = False
    """Whether these are all that were asked for."""

    doing: dict[str | None, dict[str, Activity] | None] = field(default_factory=dict)
    """For each directory that was asked about, the sessions that are not idle; None: the daemon does not tell."""

    @property
    def edge(self) -> int:
        """After which stamp all are there, in milliseconds; 0 where all are."""
        return 0 if self.is_whole else min(map(updated, self.sessions), default=0)


def read_catalogue(
    client: DaemonClient,
    choice: SessionFilter,
    catalogue: Catalogue,
    *,
    enough: Callable[[list[Content]], bool],
    page: int = PAGE,
) -> None:
    """Fill a catalogue page by page until that is enough: what is there counts even where this ends by an error."""
    fill(catalogue, pages(SessionClient(client), catalogue.version, choice, page), enough)


def fill(catalogue: Catalogue, pages: Iterable[Page], enough: Callable[[list[Content]], bool]) -> None:
    """Fill a catalogue from these pages until that is enough."""
    for each in pages:
        catalogue.sessions += each.sessions
        catalogue.is_whole = each.is_last
        if enough(catalogue.sessions):
            return


def pages(client: SessionClient, version: str, choice: SessionFilter, size: int) -> Iterable[Page]:
    """The pages, in the way of the daemon's version."""
    if is_second(version):  # what it answers about sessions could not be tried
        return []
    known = parse_version(version)
    if known is not None and known <= LACKS_CATALOGUE:
        return [client.of_project(choice)]
    return client.pages(choice, limit=size)


def read_activities(
    client: DaemonClient,
    catalogue: Catalogue,
    directories: Iterable[str | None],
    *,
    at_most: int = DIRECTORIES,
) -> None:
    """Ask what is done in these directories, and in those of the latest sessions, not in too many.

    Nobody is asked about a directory in which nothing is known to be done.
    """
    if is_second(catalogue.version):
        return
    oldest = (time.time() - RECENT_SECONDS) * 1000
    wanted = {absolute(client, directory): directory for directory in directories}
    for session in sorted(catalogue.sessions, key=updated, reverse=True):
        directory = session.get("directory")
        if len(wanted) >= at_most or updated(session) < oldest:
            break
        if isinstance(directory, str):
            wanted.setdefault(directory, directory)
    for path, directory in wanted.items():
        catalogue.doing[directory] = {} if path in client.still else activities(client, path)
