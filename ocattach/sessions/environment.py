"""Which environment a session is in, and under which name it began: both go into the session itself."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from ocattach.config.spec import ConnectionSpec, origin_name


def origin_for(directory: str, connections: Sequence[ConnectionSpec], *, home: str | None = None) -> str:
    """Where a session in a directory began, of connections that all lead to its environment, the likeliest first.

    It is the name of the one whose workdir holds the directory, the longest first; where none does, of one whose
    workdir is not known, else of any. What has no name is called by its URI, without a directory. `home` is what `~`
    stands for there, where that is known.
    """
    held = [(depth, spec) for spec in connections if (depth := held_depth(directory, spec, home)) is not None]
    if held:
        _, spec = max(held, key=lambda pair: (pair[0], bool(pair[1].name)))
    else:
        spec = min(connections, key=lambda spec: (not spec.name, spec.workdir is not None))
    return origin_name(spec)


def held_depth(directory: str, spec: ConnectionSpec, home: str | None) -> int | None:
    """How deep the workdir is that holds a directory; None where it does not, or nobody knows."""
    workdir = spec.workdir
    if workdir is not None and home is not None and (workdir == "~" or workdir.startswith("~/")):
        workdir = home + workdir.removeprefix("~")
    if workdir is None or not PurePosixPath(directory).is_relative_to(workdir):
        return None
    return len(PurePosixPath(workdir).parts)
