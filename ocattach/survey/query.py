"""The query for the sessions of all environments."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.catalogue import Catalogue, read_activities, read_catalogue
from ocattach.opencode.sessions import PAGE, Content, SessionFilter
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import AllConnections
from ocattach.survey.fanout import QueryResult, ask_each
from ocattach.survey.session_list import Request
from ocattach.survey.stored import stored_catalogue

DIAL_SECONDS = 5.0
"""How long it may take to connect to an environment; listing its sessions may take longer."""


class SessionQuery:
    """What is requested of each environment, and the answers so far."""

    def __init__(
        self,
        connections: AllConnections,
        request: Request,
        names: Names,
        *,
        environ: Mapping[str, str],
        timeout: float,
    ) -> None:
        self._connections, self._request, self._names = connections, request, names
        self._environ, self._timeout = environ, timeout
        self.catalogues: dict[str, Catalogue] = {}
        """What each environment has answered so far; filled by the threads of the query, also by overdue ones."""
        self.since = request.since
        """Sessions updated before this time are not requested, in milliseconds since the epoch.

        May be later than the `since` of the request, where the index has the other sessions.
        """

    @property
    def is_narrow(self) -> bool:
        """Whether fewer sessions are requested of environments than of this process."""
        return self.since != self._request.since

    def ask(self, among: Collection[str] | None = None) -> list[QueryResult[Catalogue]]:
        """Query all environments, or those with these ids."""
        wanted = among or self._names.environments_of(self._request.origins)
        entries = [
            entry
            for entry in self._connections.entries
            if not wanted or environment_id(entry.spec, self._environ) in wanted
        ]
        return list(
            ask_each(
                entries,
                self._question,
                environ=self._environ,
                timeout=self._timeout,
                dial_timeout=min(self._timeout, DIAL_SECONDS),
            )
        )

    def stored(self, spec: ConnectionSpec, environment: str) -> Catalogue | None:
        """Return the sessions of an environment in which no daemon runs; None if only a daemon can list them."""
        enough = self._enough(environment)
        return stored_catalogue(spec, self._environ, self._choice(), enough=enough, page=self._page)

    def is_wanted(self, session: Session) -> bool:
        """Whether a session has one of the requested origins."""
        origins = self._request.origins
        if not origins:
            return True
        if self._request.all_directories:
            return session.environment in self._names.environments_of(origins)
        return self._names.matches(session, origins)

    def _question(self, client: DaemonClient, specs: Sequence[ConnectionSpec]) -> Catalogue:
        began = time.time()
        version = client.known_version or client.await_version()
        environment = environment_id(specs[0], self._environ)
        catalogue = self.catalogues[environment] = Catalogue(version, began)
        read_catalogue(client, self._choice(), catalogue, enough=self._enough(environment), page=self._page)
        if self._request.activity:
            read_activities(client, catalogue, ())
        return catalogue

    def _choice(self) -> SessionFilter:
        request = self._request
        return SessionFilter(
            roots=not request.children, archived=request.children, search=request.search, since=self.since
        )

    @property
    def _page(self) -> int:
        limit = self._request.limit
        return PAGE if limit is None or self._filters else max(1, min(PAGE, limit))

    @property
    def _filters(self) -> bool:
        """Whether some sessions that an environment lists are not wanted."""
        return bool(self._request.origins) and not self._request.all_directories

    def _enough(self, environment: str) -> Callable[[list[Content]], bool]:
        limit = self._request.limit
        if limit is None:
            return lambda _: False
        if not self._filters:
            return lambda sessions: len(sessions) >= limit
        return lambda sessions: (
            sum(self.is_wanted(session) for session in self._names.read(sessions, environment)) >= limit
        )
