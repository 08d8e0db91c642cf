"""The connections by which a link's environment is used: they decide the origin of its sessions."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from ocattach.config.files.paths import config_directory
from ocattach.config.names import LOCAL
from ocattach.config.resolver import this_machine
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec, environment_id, origin_name
from ocattach.errors import OcattachError
from ocattach.sessions.origins import origin_for

MOST_ORIGINS = 1000


class UsedConnections:
    """The connections by which an environment is used, the latest first. Any thread may read it."""

    def __init__(self) -> None:
        self._specs: tuple[ConnectionSpec, ...] = ()
        self._others: tuple[ConnectionSpec, ...] = ()
        self._real: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        """Results by directory: each event of an agent needs one."""

    @property
    def uri(self) -> str:
        """The URI of the environment, without a directory."""
        return self._specs[0].target.uri() if self._specs else ""

    @property
    def name(self) -> str:
        """The name of the connection that was used last, or its URI."""
        return origin_name(self._specs[0]) if self._specs else ""

    @property
    def place(self) -> str:
        """The place of the environment (`ConnectionSpec.place_id`)."""
        return self._specs[0].place_id() if self._specs else ""

    def add(self, spec: ConnectionSpec, directory: str | None) -> None:
        """Add a connection that is used now; `directory` is the absolute path of its workdir, if that is known."""
        known = replace(spec, workdir=directory)
        self._specs = (known, *(other for other in self._specs if other != known))
        self._origins = {}

    def load_saved(self, environ: Mapping[str, str]) -> None:
        """Load the user's other connections to the environment: sessions in their workdirs have their origin."""
        if self._specs:
            self._others = tuple(saved_connections(self._specs[0], environ))
            self._origins = {}

    def resolve(self, real_directory: Callable[[str], str]) -> None:
        """Resolve symbolic links in the workdirs, because sessions have real paths."""
        for spec in (*self._specs, *self._others):
            if spec.workdir and spec.workdir not in self._real:
                self._real[spec.workdir] = real_directory(spec.workdir)
                self._origins = {}

    def has_name(self, origin: str) -> bool:
        """Return whether a connection of this name leads to the environment."""
        return any(origin_name(spec) == origin for spec in (*self._specs, *self._others))

    def origin(self, directory: str) -> str:
        """Return the origin of a session in a directory; empty before the first `add`."""
        found = self._origins.get(directory)
        if found is None:
            real, all_specs = self._real, (*self._specs, *self._others)
            specs = [replace(spec, workdir=real.get(spec.workdir or "", spec.workdir)) for spec in all_specs]
            found = origin_for(directory, specs) if specs else ""
            known = self._origins if len(self._origins) < MOST_ORIGINS else {}
            self._origins = {**known, directory: found}
        return found


def saved_connections(used: ConnectionSpec, environ: Mapping[str, str]) -> Iterable[ConnectionSpec]:
    """Return the user's saved connections, and `local`, that lead to the environment of this one. Reads all files."""
    environment = environment_id(used, environ)
    saved = [
        spec
        for spec in SavedConnections(config_directory(environ)).all()
        if isinstance(spec, ConnectionSpec) and type(spec.target) is type(used.target)
    ]
    if used.target.is_this_machine and all(spec.name != LOCAL for spec in saved):
        saved.append(this_machine())
    for spec in saved:
        with suppress(OcattachError):  # a connection that cannot be used has no sessions
            if environment_id(settled := spec.pinned(environ), environ) == environment:
                yield settled
