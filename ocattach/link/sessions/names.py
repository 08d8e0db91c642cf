"""Under which names a link's environment is used, and so where its sessions begin."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from ocattach.config.files.paths import config_directory
from ocattach.config.resolver import LOCAL, this_machine
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import OcattachError
from ocattach.sessions.environment import origin_for


class UsedNames:
    """The connections by which an environment is used, the last one first. Any thread may read it."""

    def __init__(self) -> None:
        self._specs: tuple[ConnectionSpec, ...] = ()
        self._others: tuple[ConnectionSpec, ...] = ()
        self._real: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._specs)

    @property
    def uri(self) -> str:
        """The environment's, without a directory."""
        return self._specs[0].target.uri() if self._specs else ""

    def know(self, spec: ConnectionSpec, directory: str | None) -> None:
        """One is used now, whose workdir is this absolute path there, or not known."""
        known = replace(spec, workdir=directory)
        self._specs = (known, *(other for other in self._specs if other != known))

    def know_others(self, environ: Mapping[str, str]) -> None:
        """Look which other names the user has for the environment: a session in their workdir began there, too."""
        if self._specs:
            self._others = tuple(others(self._specs[0], environ))

    def resolve(self, real_directory: Callable[[str], str]) -> None:
        """Find out what their workdirs are without symbolic links, as sessions have them."""
        for spec in (*self._specs, *self._others):
            if spec.workdir and spec.workdir not in self._real:
                self._real[spec.workdir] = real_directory(spec.workdir)

    def origin(self, directory: str) -> str:
        """Where a session in a directory began; empty while nobody has used the environment."""
        real, all_specs = self._real, (*self._specs, *self._others)
        specs = [replace(spec, workdir=real.get(spec.workdir or "", spec.workdir)) for spec in all_specs]
        return origin_for(directory, specs) if specs else ""


def others(used: ConnectionSpec, environ: Mapping[str, str]) -> Iterable[ConnectionSpec]:
    """The connections of the user's that lead to the environment of one; reads the files of all."""
    environment = environment_id(used, environ)
    saved = [
        spec
        for spec in SavedConnections(config_directory(environ)).all()
        if isinstance(spec, ConnectionSpec) and type(spec.target) is type(used.target)
    ]
    if used.target.is_this_machine and all(spec.name != LOCAL for spec in saved):
        saved.append(this_machine())
    for spec in saved:
        with suppress(OcattachError):  # it can be used for nothing, and so for no session
            if environment_id(pinned := spec.pinned(environ), environ) == environment:
                yield pinned
