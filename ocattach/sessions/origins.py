"""Origins: the names of the connections by which sessions began."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.sessions.record import ORIGIN, Session
from ocattach.untrusted_json import table


def origin_metadata(origin: str, environment: str) -> dict[str, str]:
    """Return the metadata that records the origin in a session.

    OpenCode stores it as part of `metadata`, shows it in `opencode export`, and copies it to forks, but not to the
    sessions of subagents.
    """
    return {ORIGIN: origin, "environment": environment}


def has_origin(content: Mapping[str, Any]) -> bool:
    """Return whether a session has an origin in its metadata, in any format: other programs may write it too."""
    return ORIGIN in table(content.get("metadata"))


def origin_for(directory: str, connections: Sequence[ConnectionSpec]) -> str:
    """Return the origin of a session by its directory.

    All connections lead to the environment of the session, the preferred one first. The connection with the longest
    workdir that contains the directory is chosen; if there is none, one without a workdir, else any.
    """
    held = [(depth, spec) for spec in connections if (depth := held_depth(directory, spec)) is not None]
    if held:
        _, spec = max(held, key=lambda pair: (pair[0], bool(pair[1].name)))
    else:
        spec = min(connections, key=lambda spec: (not spec.name, spec.workdir is not None))
    return origin_name(spec)


def held_depth(directory: str, spec: ConnectionSpec) -> int | None:
    """Return the number of parts of the workdir that contains a directory; None if it does not, or is not known."""
    if spec.workdir is None or not PurePosixPath(directory).is_relative_to(spec.workdir):
        return None
    return len(PurePosixPath(spec.workdir).parts)


class Names:
    """The connections to each environment, and the origin under which a session is listed."""

    def __init__(self, specs: Iterable[ConnectionSpec], environ: Mapping[str, str]) -> None:
        self.specs: dict[str, list[ConnectionSpec]] = {}
        """By environment."""
        for spec in specs:
            self.specs.setdefault(environment_id(spec, environ), []).append(spec)
        self._origins: dict[tuple[str, str], str] = {}
        """Results by environment and directory: hundreds of sessions share a directory."""
        self.all = frozenset(origin_name(spec) for specs in self.specs.values() for spec in specs)
        """The origins of all connections."""

    def environments_of(self, origins: Sequence[str]) -> tuple[str, ...]:
        """Return the environments to which connections of these names lead."""
        return tuple(
            environment
            for environment, specs in self.specs.items()
            if any(origin_name(spec) in origins for spec in specs)
        )

    def inherited_by(self, origins: Sequence[str]) -> tuple[str, ...]:
        """Return the environments whose sessions of removed connections are listed under one of these origins."""
        return tuple(environment for environment in self.specs if self.default_origin(environment) in origins)

    def default_origin(self, environment: str) -> str | None:
        """Return the origin of an environment's sessions whose directory and own origin match no connection."""
        specs = self.specs.get(environment)
        return origin_for("", specs) if specs else None

    def named(self, session: Session) -> Session:
        """Return the session with the origin under which it is listed: its own, else the one of its directory.

        Its own counts only if a connection of that name leads to its environment: any program there can write it.
        In an environment without connections it is cleared if it is the name of a connection to another one.
        """
        specs = self.specs.get(session.environment)
        if specs is None:
            return replace(session, origin="", is_native=False) if session.origin in self.all else session
        if any(origin_name(spec) == session.origin for spec in specs):
            return session
        origin = self._origin_of(session.environment, session.directory)
        return replace(session, origin=origin, is_native=False)

    def read(self, contents: Iterable[Any], environment: str) -> list[Session]:
        """Return the sessions in OpenCode's answer, each with the origin under which it is listed."""
        read = (Session.from_api(content, environment=environment) for content in contents)
        return [self.named(session) for session in read if session is not None]

    def _origin_of(self, environment: str, directory: str) -> str:
        """Return the origin of a directory of an environment to which a connection leads."""
        origin = self._origins.get((environment, directory))
        if origin is None:
            origin = origin_for(directory, self.specs[environment])
            self._origins[environment, directory] = origin
        return origin

    def depth(self, session: Session) -> int:
        """Return the number of parts of the longest workdir that contains a session's directory.

        0 stands for a connection without a workdir, -1 for none of either kind.
        """
        specs = self.specs.get(session.environment, ())
        depths = [0 if spec.workdir is None else held_depth(session.directory, spec) for spec in specs]
        return max((depth for depth in depths if depth is not None), default=-1)

    def counts_for(self, origin: str, environment: str, name: str) -> bool:
        """Return whether sessions of an origin are listed under a name: its own, or one of a removed connection."""
        return origin == name or (origin not in self.all and self.default_origin(environment) == name)

    def matches(self, session: Session, origins: Sequence[str]) -> bool:
        """Return whether a session has one of these origins; the directory decides if its connection was removed."""
        if session.origin in self.all or session.environment not in self.specs:
            return session.origin in origins
        return session.origin in origins or self._origin_of(session.environment, session.directory) in origins
