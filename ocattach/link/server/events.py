"""Sends the events of agents to a command that reads them."""

import json

from ocattach.link.messages import MessageChannel
from ocattach.link.sessions.event_log import EventLog

LOOK_SECONDS = 1.0
"""How often to look whether the reader has gone."""

PAUSE_SECONDS = 0.01
"""Between two sends: events of a busy daemon are sent several at once, which costs both sides less."""


def send_events(channel: MessageChannel, log: EventLog, *, is_resumed: bool) -> None:
    """Send events, a line each, until the reader or the link ends.

    With `is_resumed` the first is the one after the last that any reader has received. A reader that is too slow misses
    events, and gets a `gap` in their place. Raises HungUpError.
    """
    with log.reading():
        position = log.last_read if is_resumed else log.end
        while not log.is_closed:
            lines, missed = log.read(position, LOOK_SECONDS)
            if missed:
                gap = {"schema": 1, "event": "gap", "missed": missed, "reason": "events were read too slowly"}
                lines.insert(0, json.dumps(gap).encode())
            if lines:
                channel.send_lines(lines, lambda: not log.is_closed)
                log.pause(PAUSE_SECONDS)
            elif channel.has_ended():
                return
            position += missed + len(lines) - bool(missed)
            log.last_read = max(log.last_read, position)
