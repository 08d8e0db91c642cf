"""The steps that check a daemon by requests to it."""

import statistics
import time

from ocattach.doctor.ladder import StepWarning
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.events import CONNECTED
from ocattach.opencode.versions import Tui, check_tui, is_second

ROUND_TRIPS = 5
SESSIONS = 100


class RequestChecks:
    """The check of one daemon. Each step is a method that returns what it found."""

    def __init__(self, client: DaemonClient, *, workdir: str | None, username: str) -> None:
        self._client = client
        self._workdir = workdir
        self._username = username
        self._version = ""

    def health(self) -> str:
        """Request the daemon's health, with its password."""
        self._version = self._client.version()
        return f"OpenCode {self._version}"

    def sessions(self) -> str:
        """Request sessions. Unlike health, that fails if the configuration is invalid (1.18.33)."""
        if is_second(self._version):
            raise StepWarning("not checked: ocattach has not been tested with the session API of OpenCode 2")
        found = len(self._client.sessions(self._workdir, limit=SESSIONS))
        least = "at least " if found == SESSIONS else ""
        where = self._workdir or "the daemon's own directory"
        return f"{least}{count(found, 'session')} in {where}"

    def events(self) -> str:
        """Open the event stream that the TUI uses."""
        if is_second(self._version):
            raise StepWarning("not checked: ocattach has not been tested with the events of OpenCode 2")
        first = self._client.first_event(self._workdir)
        if first != CONNECTED:
            raise StepWarning(f"the first event is {first}, expected {CONNECTED}")
        return first

    def round_trip(self) -> str:
        """Measure requests, one after the other, each on a new connection."""
        times = []
        for _ in range(ROUND_TRIPS):
            began = time.monotonic()
            self._client.version()
            times.append((time.monotonic() - began) * 1000)
        return f"median {statistics.median(times):.1f} ms of {ROUND_TRIPS} requests (slowest {max(times):.1f} ms)"

    def tui(self, version: str) -> None:
        """Check whether a TUI of a version works with the daemon. Raises what `check_tui` raises."""
        if self._version:

            def content_type(path: str) -> str:
                return self._client.request("GET", path).content_type

            check_tui(version, self._version, Tui(url=""), username=self._username, content_type=content_type)


def count(number: int, thing: str) -> str:
    """Return "1 session" or "2 sessions"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
