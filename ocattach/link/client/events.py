"""Reads the events of agents from running links."""

from collections.abc import Iterator, Mapping

from ocattach.link.client.foreground import connect
from ocattach.link.files import link_files
from ocattach.link.messages import PROTOCOL, HungUpError, Message


def agent_events(key: str, environ: Mapping[str, str], *, since_last: bool) -> Iterator[Message]:
    """Yield the events of a link as they come, until it ends; nothing without a link of this version.

    With `since_last` it begins after the last event that any reader of this link has received. Starts nothing.
    """
    channel = connect(link_files(key, environ))
    if channel is None:
        return
    try:
        channel.send({"do": "events", "protocol": PROTOCOL, "since_last": since_last})
        while "event" in (message := channel.receive(timeout=None)):
            yield message
    except HungUpError:
        return
    finally:
        channel.close()
