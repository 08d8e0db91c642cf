"""The daemon of an environment: found, else started; and not started for ever when it does not live."""

import shlex
import time
from typing import TYPE_CHECKING, Protocol

from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import CrashLoopError, DaemonNotRunningError, DaemonStartError
from ocattach.transports.base import Question, TransportHandler

if TYPE_CHECKING:
    from ocattach.config.spec import ConnectionSpec

SHORT_LIFE = 30.0
"""Seconds that a daemon has to live for its start to count as a success."""

STARTS = 3
"""How many starts in a row may come to nothing before no more are tried without a person."""


def command_name(spec: "ConnectionSpec") -> str:
    """The connection as it is typed in a command to paste."""
    return shlex.quote(spec.name or spec.display())


class AttachClient(Protocol):
    """A foreground that waits for the environment, or what stands in for one."""

    def ask(self, question: Question, /) -> str:
        """Let the person there answer."""

    def step(self, text: str) -> None:
        """Tell it about a step that was taken."""

    def notice(self, text: str) -> None:
        """Tell it about something that happened when nobody was there."""


class CrashLoopGuard:
    """Finds or starts the daemon, and counts the starts that came to nothing."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._failures = 0

    def reset(self) -> None:
        """Somebody wants it to be tried again, whatever has happened."""
        self._failures = 0

    def find_or_start(
        self, handler: TransportHandler, client: AttachClient, *, start: bool, environment_stood: bool
    ) -> tuple[FoundDaemon, bool]:
        """The daemon that runs, else a new one; and whether this call started it.

        A daemon that ended while its environment stood has ended by itself, one that went with a container has not.
        Raises CrashLoopError with the end of its log where a new one would not live either.
        """
        status = handler.check_daemon_running()
        if status.daemon is not None:
            return status.daemon, False
        self._note_missing(by_itself=environment_stood)
        if not start:
            raise DaemonNotRunningError(
                f"No daemon runs in {handler.spec.display()}",
                hint=f"Start one: ocattach {command_name(handler.spec)}",
            )
        if self._failures >= STARTS:
            raise CrashLoopError(
                f"The daemon in {handler.spec.display()} has ended {STARTS} times"
                f" within {SHORT_LIFE:.0f} s of its start; its log ends:\n{handler.daemon_log()}",
                hint=f"See more of it: ocattach logs {command_name(handler.spec)}",
            )
        return self._start(handler, client)

    def _start(self, handler: TransportHandler, client: AttachClient) -> tuple[FoundDaemon, bool]:
        try:
            status = handler.start_daemon()
        except DaemonStartError:
            self._failures += 1
            raise
        if status.daemon is None:
            raise DaemonStartError(f"No daemon came up in {handler.spec.display()}")
        if status.started:
            self._started = time.monotonic()
            client.step(f"Started daemon on port {status.port}")
        return status.daemon, status.started

    def _note_missing(self, *, by_itself: bool) -> None:
        """No daemon runs; where one was started here, it has ended since."""
        if self._started is None:
            return
        lived = time.monotonic() - self._started
        self._failures = self._failures + 1 if by_itself and lived < SHORT_LIFE else 0
        self._started = None
