"""Under which names a link's environment is used, and so where its sessions begin."""

from collections.abc import Callable
from dataclasses import replace

from ocattach.config.spec import ConnectionSpec
from ocattach.sessions.environment import origin_for


class UsedNames:
    """The connections by which an environment is used, the last one first. Any thread may read it."""

    def __init__(self) -> None:
        self._specs: tuple[ConnectionSpec, ...] = ()
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

    def resolve(self, real_directory: Callable[[str], str]) -> None:
        """Find out what their workdirs are without symbolic links, as sessions have them."""
        for spec in self._specs:
            if spec.workdir and spec.workdir not in self._real:
                self._real[spec.workdir] = real_directory(spec.workdir)

    def origin(self, directory: str) -> str:
        """Where a session in a directory began; empty while nobody has used the environment."""
        real = self._real
        specs = [replace(spec, workdir=real.get(spec.workdir or "", spec.workdir)) for spec in self._specs]
        return origin_for(directory, specs) if specs else ""
