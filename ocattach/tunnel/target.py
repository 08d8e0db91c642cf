"""What the local port of a tunnel leads to."""

import errno
from dataclasses import dataclass

from ocattach.errors import ConnectionLostError, OcattachError, PortClosedError
from ocattach.tunnel.route import Route

GONE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


@dataclass(slots=True)
class Target:
    """A port in an environment, and the way there."""

    route: Route
    port: int
    host: str
    has_answered: bool = False
    """Whether something was reached there: what fails to be after that is gone, and may come back."""


def is_gone(error: OcattachError | OSError) -> bool:
    """Whether a failure to connect means that what was there is there no more."""
    if isinstance(error, OSError):
        return isinstance(error, ConnectionRefusedError | TimeoutError) or error.errno in GONE
    return isinstance(error, PortClosedError | ConnectionLostError)
