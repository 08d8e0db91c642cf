"""Sends a TUI the events that it missed.

OpenCode's TUI (1.1.65 to 1.18.33) reads a session's messages once, permission requests never, and nothing again after
its stream of events was interrupted: it does not show what happened meanwhile until it is restarted, and a permission
that was answered elsewhere keeps blocking it. It accepts events whose content it knows already. So the current state is
read from the API and sent as events.

`server.instance.disposed`, after which it reads its lists again, does not work: the TUI ends if one of these requests
fails, and it reads no messages.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ocattach.errors import OcattachError, TimedOutError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.tui.missed import Event, MissedState, answered, event
from ocattach.opencode.tui.seen import BY_TUI, CREATION, STATUSES, Seen, is_stream
from ocattach.printable import command_line, printable

REQUEST_SECONDS = 5.0
"""Seconds for each request of `connect`: the messages of a session can be megabytes."""

BYTE_LIMIT = 8 * 1024 * 1024

TOAST_SECONDS, GREETING_SECONDS = 20, 8
OPENING_SECONDS, LATE_SECONDS = 10, 60
"""How long a TUI may take to open before it is greeted anyway, and how much longer before it is not greeted again."""

BARE = b"GET /event"
"""The request whose events have no envelope."""

log = logging.getLogger(__name__)


class Greeting(NamedTuple):
    """What a TUI that opens is shown."""

    message: str
    requests: Mapping[str, Event] | None
    """The pending permission requests and questions by their ids, as the events that announce them; None: not known."""


class Resync:
    """What the TUIs of one link have seen. Implements `tunnel.event_stream.StreamResumer`.

    `connect` returns a client of the current daemon, `name` the name of the environment, and `greeting` what a TUI that
    opens is shown; it queries the daemon. `on_creation` is called in the tunnel's thread when a client requests a new
    session.
    """

    def __init__(
        self,
        connect: Callable[[], DaemonClient],
        *,
        name: Callable[[], str],
        greeting: Callable[[], Greeting],
        on_creation: Callable[[], object] = lambda: None,
    ) -> None:
        self._connect = connect
        self._name, self._greeting = name, greeting
        self._on_creation = on_creation
        self._seen = Seen()
        self._opened = threading.Condition()
        self._openings = 0
        """How many TUIs have opened; `_opened` is notified of each."""

    def handles(self, request: bytes) -> bool:
        """Inspect a request of a client. Returns whether it is a request for events by a TUI or the page."""
        if CREATION.match(request):
            self._on_creation()
        return is_stream(request)

    def learn(self, request: bytes) -> None:
        """Remember what a TUI asked for and got."""
        self._seen.request(request)
        if STATUSES.match(request) and BY_TUI.search(request):
            with self._opened:
                self._openings += 1
                self._opened.notify_all()

    def observe(self, events: bytes) -> None:
        """Inspect events that were sent to a TUI."""
        self._seen.events(events)

    def replay(self, request: bytes, silent: float) -> list[bytes]:
        """Return the events for a TUI that received nothing for `silent` seconds.

        If not everything could be read in time, the last event is a notice with the command to restart the TUI.
        """
        seen = self._seen.copy()
        size = 0
        events: list[bytes] = []
        try:
            for event in MissedState(self._connect(), seen, silent).events():
                encoded = encode(event, bare=request.startswith(BARE))
                size += len(encoded)
                if size > BYTE_LIMIT:
                    raise TimedOutError(f"More than {BYTE_LIMIT // 1024**2} MiB were missed")
                events.append(encoded)
        except OcattachError as error:
            log.info("Could not send a TUI all that it missed in %.0f s: %s", silent, error)
            events.append(self.message_event(request, advice(command_line("ocattach", self._name()), seen)))
        else:
            log.info("Sent a TUI what it missed in %.0f s, as %d events", silent, len(events))
        self._seen.events(b"".join(events))
        return events

    def greet(self, request: bytes) -> Iterator[bytes]:
        """Yield events for a TUI once it can show them: the greeting, then the end of what was answered meanwhile.

        The TUI drops messages until its screen is there, which is when it requests what sessions do, and never reads
        the permission requests and questions that are pending then (1.18.33). OpenCode's page does both by itself.
        """
        if BY_TUI.search(request) is None:
            return
        before = self._openings
        has_opened = self._await_opening(before, OPENING_SECONDS)
        yield from self._greet(request)
        if not has_opened and self._await_opening(before, LATE_SECONDS):
            yield from self._greet(request)

    def _await_opening(self, before: int, seconds: float) -> bool:
        with self._opened:
            return self._opened.wait_for(lambda: self._openings > before, seconds)

    def _greet(self, request: bytes) -> Iterator[bytes]:
        bare = request.startswith(BARE)
        message, requests = self._greeting()
        asked = b"".join(encode(each, bare=bare) for each in (requests or {}).values())
        shown = Seen()
        shown.events(asked)
        self._seen.events(asked)
        log.info("Greeting a TUI; requests that wait for a person: %s", ", ".join(requests or ()) or "none")
        yield self.message_event(request, message, variant="info", seconds=GREETING_SECONDS) + asked
        pending = self._greeting().requests if requests else None
        # The answer may have come before these events: it does not matter then whether it was seen.
        gone = [] if pending is None else [each for each in shown.asks.values() if each.id not in pending]
        if gone:  # an empty one would be the end
            yield b"".join(encode(answered(each), bare=bare) for each in gone)

    def message_event(
        self, request: bytes, message: str, *, variant: str = "warning", seconds: float = TOAST_SECONDS
    ) -> bytes:
        """Return the event that shows a message in a TUI, under the name of the environment."""
        toast = {
            "title": f"ocattach: {printable(self._name())}",
            "message": printable(message),
            "variant": variant,
            "duration": int(seconds * 1000),
        }
        return encode(event("tui.toast.show", toast, None), bare=request.startswith(BARE))


def advice(command: str, seen: Seen) -> str:
    """Return what the user should do about an incomplete TUI."""
    session = f" -s {next(iter(seen.opened))}" if len(seen.opened) == 1 else ""
    return f"This screen may be incomplete after a lost connection. Quit and run:\n{command}{session}"


def encode(event: Event, *, bare: bool) -> bytes:
    """Encode an event as a line of the stream."""
    return b"data: %b\n\n" % json.dumps(event["payload"] if bare else event, separators=(",", ":")).encode()
