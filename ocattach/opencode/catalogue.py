"""Lists the sessions of a daemon, and what they are doing."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ocattach.opencode.activity import Activity, activities
from ocattach.opencode.api import DaemonClient, absolute
from ocattach.opencode.sessions import PAGE, Content, Page, SessionClient, SessionFilter, updated
from ocattach.opencode.versions import Version, is_second, parse_version

LACKS_CATALOGUE = Version(1, 1, 65)
"""The last tested version that cannot list all projects. 1.14.41 can; versions in between were not tested."""

DIRECTORIES = 8
"""The number of directories that are queried. The daemon keeps each of them in memory from then on."""

RECENT_SECONDS = 7 * 24 * 3600
"""Sessions that were updated before this count as idle."""


@dataclass(slots=True)
class Catalogue:
    """The sessions that a daemon has reported."""

    version: str
    began: float
    """When the listing began, in seconds since the epoch."""

    sessions: list[Content] = field(default_factory=list)
    is_whole: bool = False
    """Whether these are all that match the filter."""

    doing: dict[str | None, dict[str, Activity] | None] = field(default_factory=dict)
    """The sessions that are not idle, by directory; None if the daemon does not report this."""

    requests: list[tuple[str | None, Content]] = field(default_factory=list)
    """The requests that wait for a person, each with its directory."""


def read_catalogue(
    client: DaemonClient,
    choice: SessionFilter,
    catalogue: Catalogue,
    *,
    enough: Callable[[list[Content]], bool],
    page: int = PAGE,
) -> None:
    """Add pages to a catalogue until `enough` returns True. After an error the pages read so far remain."""
    if is_second(catalogue.version):  # its session requests could not be tested
        return
    sessions, version = SessionClient(client), parse_version(catalogue.version)
    lists_all = version is None or version > LACKS_CATALOGUE
    fill(
        catalogue, sessions.pages(choice, limit=page) if lists_all else [sessions.of_project(choice)], enough
    )


def fill(catalogue: Catalogue, pages: Iterable[Page], enough: Callable[[list[Content]], bool]) -> None:
    """Add these pages to a catalogue until `enough` returns True."""
    for each in pages:
        catalogue.sessions += each.sessions
        catalogue.is_whole = each.is_last
        if enough(catalogue.sessions):
            return


def read_activities(
    client: DaemonClient,
    catalogue: Catalogue,
    directories: Iterable[str | None],
    *,
    at_most: int = DIRECTORIES,
) -> None:
    """Query what is done in these directories and in those of the latest sessions, at most `at_most`.

    Directories that are known to be idle are not queried.
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
        if path in client.idle_directories:
            catalogue.doing[directory] = {}
            continue
        catalogue.doing[directory], requests = activities(client, path)
        catalogue.requests += ((directory, request) for request in requests)
