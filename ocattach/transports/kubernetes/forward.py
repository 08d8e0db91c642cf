"""A daemon in a pod in which nothing may be run: what can be learned of it through its port alone."""

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import AuthenticationError, ConnectionLostError, TimedOutError
from ocattach.opencode.api import DaemonClient
from ocattach.transports.base import Ask, Question

USERNAME = "opencode"
"""What `opencode serve` expects unless it was told otherwise."""

PASSWORD_TRIES = 3
NO_PID = 0
"""The pid of a daemon that cannot be seen."""


def find_daemon(url: str, port: int, *, place: str, ask: Ask, password: str = "") -> FoundDaemon | None:
    """The daemon that answers at a URL; None where nothing answers.

    A password other than the given one is asked for where it wants one: it stands in a file of the pod, which
    cannot be read, and is kept in memory as long as the link lives.
    """
    for attempt in range(PASSWORD_TRIES + 1):
        try:
            DaemonClient(url, username=USERNAME, password=password).version()
        except AuthenticationError as error:
            if attempt == PASSWORD_TRIES:
                raise AuthenticationError(
                    f"The daemon on port {port} of {place} does not accept that password",
                    hint="Where an ocattach started it, the pod keeps it in ~/.local/state/ocattach",
                ) from error
            again = "Not accepted. " if password else ""
            password = ask(
                Question(f"{again}Password of the daemon on port {port} of {place}: ", secret=True)
            )
        except (ConnectionLostError, TimedOutError):
            return None
        else:
            return FoundDaemon(
                pid=NO_PID,
                port=port,
                host="127.0.0.1",
                username=USERNAME,
                password=password,
                recorded=False,
            )
    return None
