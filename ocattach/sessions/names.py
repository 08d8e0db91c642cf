"""The connections that there are, as origins of sessions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.sessions.environment import origin_for
from ocattach.sessions.record import Session


def index_file(state_directory: Path) -> Path:
    """Where the index is; who only wants to know need not load SQLite."""
    return state_directory / "sessions.db"


class Names:
    """Which connections lead to which environment, and so under which name a session is listed."""

    def __init__(self, specs: Iterable[ConnectionSpec], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._specs: dict[str, list[ConnectionSpec]] = {}
        for spec in specs:
            self._specs.setdefault(environment_id(spec, environ), []).append(spec)
        self._origins: dict[tuple[str, str], str] = {}
        """Of what was asked before: hundreds of sessions are in one directory."""
        self._all = frozenset(origin_name(spec) for specs in self._specs.values() for spec in specs)

    @property
    def all(self) -> frozenset[str]:
        """Every origin that a connection is."""
        return self._all

    def environments_of(self, origins: Sequence[str]) -> tuple[str, ...]:
        """The environments to which connections of these names lead."""
        return tuple(
            environment
            for environment, specs in self._specs.items()
            if any(origin_name(spec) in origins for spec in specs)
        )

    def inherited_by(self, origins: Sequence[str]) -> tuple[str, ...]:
        """The environments in which one of these has what began under a name that is gone."""
        return tuple(environment for environment in self._specs if self.heir(environment) in origins)

    def heir(self, environment: str) -> str | None:
        """Under which name an environment's sessions are listed where nothing else is known of them."""
        specs = self._specs.get(environment)
        return origin_for("", specs) if specs else None

    def named(self, session: Session) -> Session:
        """The session with the origin under which it is listed: the one that it tells itself, else by its directory."""
        if session.is_native:
            return session
        origin = self._origin_of(session.environment, session.directory)
        return session if origin is None else replace(session, origin=origin)

    def _origin_of(self, environment: str, directory: str) -> str | None:
        """The origin of what is in a directory; None in an environment to which no connection leads."""
        specs = self._specs.get(environment)
        if specs is None:
            return None
        origin = self._origins.get((environment, directory))
        if origin is None:
            origin = self._origins[environment, directory] = origin_for(directory, specs)
        return origin

    def counts_for(self, origin: str, environment: str, name: str) -> bool:
        """Whether what began under an origin is listed for a name: its own, or one that nobody has any more."""
        return origin == name or (origin not in self.all and self.heir(environment) == name)

    def matches(self, session: Session, origins: Sequence[str]) -> bool:
        """Whether a session is of one of these origins; one whose name nobody has any more goes by its directory."""
        if session.origin in self.all or session.environment not in self._specs:
            return session.origin in origins
        return session.origin in origins or self._origin_of(session.environment, session.directory) in origins
