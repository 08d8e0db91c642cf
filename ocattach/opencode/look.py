"""What a daemon is doing, for whoever only looks around."""

from collections.abc import Iterable

from ocattach.opencode.api import DaemonClient
from ocattach.opencode.versions import is_second

LOOK_SECONDS = 2.0
"""How long a daemon may take for each answer: one that works hard on a small machine is slow, and not gone."""

AGAIN_SECONDS = 2.5
"""How long another try is made: a request that meets the daemon's start is never answered."""


def look(
    client: DaemonClient, directories: Iterable[str | None]
) -> tuple[str, dict[str | None, bool | None]]:
    """A daemon's version, and for each directory whether a session in it is being worked on (None: it does not say).

    Raises what `DaemonClient.version` raises.
    """
    version = client.await_version(timeout=AGAIN_SECONDS)
    if is_second(version):  # what it answers about sessions could not be tried
        return version, {}
    return version, {directory: client.is_busy(directory) for directory in directories}
