"""Queries of a running link. They change nothing and start nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

from ocattach.link.client.foreground import GRACE_SECONDS, connect
from ocattach.link.files import link_files
from ocattach.link.messages import PROTOCOL, HungUpError, Message, MessageChannel


@dataclass(frozen=True, slots=True)
class LinkedDaemon:
    """A daemon, by the URL of its link."""

    url: str
    username: str
    password: str = field(repr=False)
    ca_file: None = None
    version: str = ""
    """As last seen by the link."""

    idle_directories: Sequence[str] = ()
    """The directories in which no session works, as far as the link knows."""


def query_link(
    key: str,
    environ: Mapping[str, str],
    directories: Sequence[str | None] | None = None,
    *,
    timeout: float = GRACE_SECONDS,
    since: int | None = None,
) -> Message:
    """Return the `status` of a link, and with `directories` also the `snapshot` of its daemon.

    These are the results of the methods of `Environment` with these names. Empty without a link, with a link of another
    version, and if it does not answer in time.
    """
    return query(key, environ, {"do": "status", "directories": directories, "since": since}, timeout=timeout)


def daemon_of_link(key: str, environ: Mapping[str, str], *, timeout: float) -> LinkedDaemon | None:
    """Return the daemon of a link whose connection works, else None. A user of its URL is a client of the link."""
    daemon = query(key, environ, {"do": "daemon"}, timeout=timeout).get("daemon")
    return None if daemon is None else LinkedDaemon(**daemon)


def agent_events(key: str, environ: Mapping[str, str], *, since_last: bool) -> Iterator[Message]:
    """Yield the events of a link's agents as they come, until it ends; nothing without a link of this version.

    With `since_last` it begins after the last event that any reader of this link has received.
    """
    with channel_to(key, environ) as channel, suppress(HungUpError):
        if channel is not None:
            channel.send({"do": "events", "protocol": PROTOCOL, "since_last": since_last})
            while "event" in (message := channel.receive(timeout=None)):
                yield message


@contextmanager
def borrowed_login(key: str, environ: Mapping[str, str]) -> Iterator[str | None]:
    """Yield the `shared_login` of a link, or None. The link does not end for being idle in the context."""
    with channel_to(key, environ) as channel:
        yield answer_of(channel, {"do": "login"}, timeout=GRACE_SECONDS).get("login")


def query(key: str, environ: Mapping[str, str], question: Message, *, timeout: float) -> Message:
    """Send a query and return the answer; empty if no link of this version answers in time."""
    with channel_to(key, environ) as channel:
        return answer_of(channel, question, timeout=timeout)


def answer_of(channel: MessageChannel | None, question: Message, *, timeout: float) -> Message:
    """Send a query over an open channel, as `query` does."""
    with suppress(HungUpError, TimeoutError):
        if channel is not None:
            channel.send({**question, "protocol": PROTOCOL})
            return channel.receive(timeout=timeout)
    return {}


@contextmanager
def channel_to(key: str, environ: Mapping[str, str]) -> Iterator[MessageChannel | None]:
    """Open a channel to a link; None if it does not run."""
    channel = connect(link_files(key, environ))
    with closing(channel) if channel else nullcontext():
        yield channel
