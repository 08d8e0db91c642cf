"""Finds or starts the daemon of an environment, and stops after repeated crashes."""

import time
from collections.abc import Mapping
from typing import Protocol

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import CrashLoopError, DaemonNotRunningError, DaemonStartError
from ocattach.link.messages import Reporter
from ocattach.printable import command_line
from ocattach.transports.base import Question, TransportHandler

SHORT_LIFE = 30.0
"""Seconds after which a started daemon counts as stable."""

STARTS = 3
"""The number of failed starts in a row after which the link stops trying."""


def command_name(spec: ConnectionSpec) -> str:
    """Return the connection as it is typed in a command."""
    return spec.name or spec.display()


class AttachClient(Reporter, Protocol):
    """The command that waits for a connection, or a substitute."""

    environ: Mapping[str, str]
    """Its variables, which the link takes over."""

    def ask(self, question: Question, /) -> str:
        """Return the answer of the person at the terminal."""


class CrashLoopGuard:
    """Finds or starts the daemon, and counts failed starts."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._failures = 0

    def reset(self) -> None:
        """Forget failed starts: a person wants another try."""
        self._failures = 0

    def find_or_start(
        self, handler: TransportHandler, client: AttachClient, *, start: bool, environment_kept: bool
    ) -> tuple[FoundDaemon, bool]:
        """Return the running daemon, or start one; and whether this call started it.

        A daemon that exited while its environment kept running counts as failed, one that ended with it does not.
        Raises CrashLoopError with the end of its log after too many failed starts.
        """
        status = handler.check_daemon_running()
        if status.daemon is not None:
            return status.daemon, False
        self._note_missing(by_itself=environment_kept)
        if not start:
            raise DaemonNotRunningError(
                f"No daemon runs in {handler.spec.display()}",
                hint=f"Start one: {command_line('ocattach', command_name(handler.spec))}",
            )
        if self._failures >= STARTS:
            raise CrashLoopError(
                f"The daemon in {handler.spec.display()} exited {STARTS} times"
                f" within {SHORT_LIFE:.0f} s of its start. Its log ends:\n{handler.daemon_log()}",
                hint=f"Read the whole log: {command_line('ocattach', 'logs', command_name(handler.spec))}",
            )
        return self._start(handler, client)

    def _start(self, handler: TransportHandler, client: AttachClient) -> tuple[FoundDaemon, bool]:
        client.doing("Starting the daemon")
        try:
            status = handler.start_daemon()
        except DaemonStartError:
            self._failures += 1
            raise
        if status.daemon is None:
            raise DaemonStartError(f"No daemon started in {handler.spec.display()}")
        if status.started:
            self._started = time.monotonic()
            client.step(f"Started daemon on port {status.port}")
        return status.daemon, status.started

    def _note_missing(self, *, by_itself: bool) -> None:
        """No daemon runs: if one was started here, it has exited."""
        if self._started is None:
            return
        lived = time.monotonic() - self._started
        self._failures = self._failures + 1 if by_itself and lived < SHORT_LIFE else 0
        self._started = None
