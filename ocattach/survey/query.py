"""One time of asking environments for the sessions that are wanted of them."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.sessions.names import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import Everywhere
from ocattach.survey.session_list import Request

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient
    from ocattach.opencode.catalogue import Catalogue
    from ocattach.opencode.sessions import Choice, Content
    from ocattach.survey.fanout import QueryResult

DIAL_SECONDS = 5.0
"""How long an environment may take to be reached; what it tells then may take longer."""


class SessionQuery:
    """What is asked of every environment, and what each has told."""

    def __init__(
        self,
        places: Everywhere,
        request: Request,
        names: Names,
        *,
        environ: Mapping[str, str],
        timeout: float,
    ) -> None:
        self._places, self._request, self._names = places, request, names
        self._environ, self._timeout = environ, timeout
        self._catalogues: dict[str, Catalogue] = {}
        """What each environment has told so far, by its id: written by the threads that ask."""

        self.since = request.since
        """Sessions that were updated before that, in milliseconds since the epoch, are not asked for."""

    @property
    def is_narrow(self) -> bool:
        """Whether less is asked for than is wanted."""
        return self.since != self._request.since

    def narrow(self, since: int) -> None:
        """From now on ask only for what was updated since then."""
        self.since = since

    def widen(self) -> None:
        """From now on ask for all that is wanted."""
        self.since = self._request.since

    def ask(self, among: Collection[str] | None = None) -> "list[QueryResult[Catalogue]]":
        """Ask all environments side by side, or those of these ids."""
        from ocattach.survey.fanout import ask_each  # noqa: PLC0415 - links and transports: for who asks

        wanted = among or self._names.environments_of(self._request.origins)
        entries = [
            entry
            for entry in self._places.entries
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

    def told(self, environment: str) -> "Catalogue | None":
        """What an environment has told by now; the thread that asks may still be at it."""
        return self._catalogues.get(environment)

    def stored(self, spec: ConnectionSpec, environment: str) -> "Catalogue | None":
        """What an environment has in which no daemon runs; None where only a daemon could tell."""
        from ocattach.survey.stored import stored_catalogue  # noqa: PLC0415 - for who asks

        enough = self._enough(environment)
        return stored_catalogue(spec, self._environ, self._choice(), enough=enough, page=self._page)

    def read(self, environment: str, contents: "Sequence[Content]") -> list[Session]:
        """What was told, as sessions with their origins."""
        read = (Session.from_api(content, environment=environment) for content in contents)
        return [self._names.named(session) for session in read if session is not None]

    def is_wanted(self, session: Session) -> bool:
        """Whether a session is of the origins that are wanted."""
        origins = self._request.origins
        if not origins:
            return True
        if self._request.all_directories:
            return session.environment in self._names.environments_of(origins)
        return self._names.matches(session, origins)

    def _question(self, client: "DaemonClient", specs: Sequence[ConnectionSpec]) -> "Catalogue":
        from ocattach.opencode.catalogue import Catalogue, read_activities, read_catalogue  # noqa: PLC0415 - HTTP
        from ocattach.opencode.snapshot import AGAIN_SECONDS  # noqa: PLC0415 - for who asks

        began = time.time()
        version = client.known_version or client.await_version(timeout=AGAIN_SECONDS)
        catalogue = Catalogue(version, began)
        environment = environment_id(specs[0], self._environ)
        self._catalogues[environment] = catalogue
        read_catalogue(client, self._choice(), catalogue, enough=self._enough(environment), page=self._page)
        if self._request.activity:
            read_activities(client, catalogue, ())
        return catalogue

    def _choice(self) -> "Choice":
        from ocattach.opencode.sessions import Choice  # noqa: PLC0415 - HTTP: for who asks

        request = self._request
        return Choice(
            roots=not request.children,
            archived=request.children,
            search=request.search,
            since=self.since,
        )

    @property
    def _page(self) -> int:
        """Sessions of one request."""
        from ocattach.opencode.sessions import PAGE  # noqa: PLC0415 - HTTP: for who asks

        limit = self._request.limit
        return PAGE if limit is None or self._filters else max(1, min(PAGE, limit))

    @property
    def _filters(self) -> bool:
        """Whether some of what an environment tells is left out."""
        return bool(self._request.origins) and not self._request.all_directories

    def _enough(self, environment: str) -> "Callable[[list[Content]], bool]":
        limit = self._request.limit
        if limit is None:
            return lambda _: False
        if not self._filters:
            return lambda sessions: len(sessions) >= limit
        return lambda sessions: (
            sum(self.is_wanted(session) for session in self.read(environment, sessions)) >= limit
        )
