"""Find a daemon through its forwarded port, in a pod where exec is forbidden."""

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import AuthenticationError, ConnectionLostError, TimedOutError
from ocattach.opencode.api import DaemonClient
from ocattach.transports.base import Ask, Question

USERNAME = "opencode"
"""The default user of `opencode serve`."""

PASSWORD_TRIES = 3
NO_PID = 0
"""The pid of a daemon whose process cannot be inspected."""


def find_daemon(url: str, port: int, *, place: str, ask: Ask, password: str = "") -> FoundDaemon | None:
    """Return the daemon that answers at a URL; None if nothing answers.

    Asks the user for the password if the given one is not accepted, since the pod's file with it cannot be read. It
    is kept in memory only.
    """
    for attempt in range(PASSWORD_TRIES + 1):
        try:
            DaemonClient(url, username=USERNAME, password=password).version()
        except AuthenticationError as error:
            if attempt == PASSWORD_TRIES:
                raise AuthenticationError(
                    f"The daemon on port {port} of {place} does not accept that password",
                    hint="If ocattach started the daemon, the password is in the pod below ~/.local/state/ocattach",
                ) from error
            again = "Not accepted. " if password else ""
            password = ask(
                Question(f"{again}Password of the daemon on port {port} of {place}: ", secret=True)
            )
        except (ConnectionLostError, TimedOutError):
            return None
        else:
            return FoundDaemon(
                pid=NO_PID, port=port, host="127.0.0.1", username=USERNAME, password=password, recorded=False
            )
    return None
