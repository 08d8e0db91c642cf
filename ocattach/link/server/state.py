"""The state of a link's connection, and the only place where it changes."""

import threading
import time
from collections.abc import Mapping
from enum import StrEnum

from ocattach.errors import CrashLoopError, OcattachError
from ocattach.link.server.history import History


class LinkState(StrEnum):
    """The state of a connection, in the words of `--status` and of the log."""

    STARTING = "starting"
    """No connection has been established yet."""

    CONNECTED = "connected"
    LOST = "lost"
    """The connection is lost, and no attempt to restore it is in progress."""

    RECONNECTING = "reconnecting"
    """An attempt to restore the connection is in progress."""

    LOCKED = "locked"
    """Credentials are required that only a person can provide. The link does not retry."""

    STOPPED = "stopped"
    """The daemon keeps exiting after it is started. The link does not retry."""


TRANSITIONS: Mapping[LinkState, frozenset[LinkState]] = {
    LinkState.STARTING: frozenset({LinkState.CONNECTED, LinkState.LOST}),
    LinkState.CONNECTED: frozenset({LinkState.LOST}),
    LinkState.LOST: frozenset(
        {LinkState.STARTING, LinkState.RECONNECTING, LinkState.LOCKED, LinkState.STOPPED}
    ),
    LinkState.RECONNECTING: frozenset({LinkState.CONNECTED, LinkState.LOST}),
    LinkState.LOCKED: frozenset({LinkState.RECONNECTING}),
    LinkState.STOPPED: frozenset({LinkState.RECONNECTING}),
}
"""The states that may follow each state."""


class StateMachine:
    """The state of one connection, the reason for it, and the time of the last loss. Only `move` changes them.

    Thread-safe.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()
        self.state = LinkState.STARTING
        self.reason: str | None = None
        """Why the connection is not established; None if it is."""
        self.error: OcattachError | None = None
        """The error after which the link stopped retrying. It is kept until the connection is restored."""
        self.lost_at = 0.0
        """When an established connection was last lost, by the monotonic clock."""

    def snapshot(self) -> tuple[LinkState, str | None]:
        """The state and the reason for it, read together."""
        with self._lock:
            return self.state, self.reason

    def move(self, to: LinkState, *, reason: str = "", error: OcattachError | None = None) -> bool:
        """Change the state, and log the change. Returns whether the state has changed.

        Nothing happens if the connection is in that state already, or if the transition is not in the table: several
        threads report events, and another thread may have been faster.
        """
        with self._lock:
            if to not in TRANSITIONS[self.state]:
                return False
            if to is LinkState.LOST and self.state is not LinkState.RECONNECTING:
                self.lost_at = time.monotonic()
            if to in {LinkState.STARTING, LinkState.CONNECTED}:
                self.reason = self.error = None
            else:
                self.reason, self.error = reason or self.reason, error or self.error
            self.state = to
            self._history.note(f"{to}: {reason}" if reason else f"{to}")
            return True

    def begin(self) -> None:
        """An attempt to connect has begun."""
        self.move(LinkState.RECONNECTING)

    def lose(self, reason: str) -> None:
        """The connection was lost, or an attempt to restore it has failed."""
        self.move(LinkState.LOST, reason=reason)

    def restore_given_up(self) -> None:
        """An attempt on behalf of a person has failed: keep what the link had given up before."""
        if self.error is not None:
            self.give_up(self.error)

    def give_up(self, error: OcattachError) -> bool:
        """Stop retrying, unless another attempt has begun meanwhile. Returns whether the link stopped."""
        to = LinkState.STOPPED if isinstance(error, CrashLoopError) else LinkState.LOCKED
        return self.move(to, reason=error.message, error=error)
