"""What can be asked of a link that is there, by anybody and at any time: it changes nothing and starts nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ocattach.link.client.foreground import GRACE_SECONDS, connect
from ocattach.link.files import link_files
from ocattach.link.messages import PROTOCOL, HungUpError, Message


@dataclass(frozen=True, slots=True)
class LinkedDaemon:
    """A daemon as a link's own port leads to it."""

    url: str
    username: str
    password: str = field(repr=False)
    version: str = ""
    """As the link has last heard it."""

    still: Sequence[str] = ()
    """The directories in which the link knows that no session does anything."""


def link_status(key: str, environ: Mapping[str, str]) -> Message | None:
    """How a link stands, as `Environment.status` says it; None without one, or with one of another version."""
    status: Message | None = look_through_link(key, environ, timeout=GRACE_SECONDS).get("status")
    return status


def look_through_link(
    key: str,
    environ: Mapping[str, str],
    directories: Sequence[str | None] | None = None,
    *,
    timeout: float,
    since: int | None = None,
) -> Message:
    """The `status` of a link, and with `directories` also a `look`: what the daemon says of these (`Environment.look`).

    Empty without a link, with one of another version, and with one that does not answer in time.
    """
    return ask_about(
        key, environ, {"do": "status", "directories": directories, "since": since}, timeout=timeout
    )


def daemon_of_link(key: str, environ: Mapping[str, str], *, timeout: float) -> LinkedDaemon | None:
    """The daemon that a link leads to at this moment; None without a link, and where its way is lost.

    Nothing is started or dialled by it. Who uses the port is a client of the link, as a TUI is.
    """
    daemon = ask_about(key, environ, {"do": "daemon"}, timeout=timeout).get("daemon")
    return None if daemon is None else LinkedDaemon(**daemon)


def ask_about(key: str, environ: Mapping[str, str], question: Message, *, timeout: float) -> Message:
    """The answer to a question that changes nothing; empty where no link of our version answers in time."""
    channel = connect(link_files(key, environ))
    if channel is None:
        return {}
    try:
        channel.send({**question, "protocol": PROTOCOL})
        return channel.receive(timeout=timeout)
    except (HungUpError, TimeoutError):
        return {}
    finally:
        channel.close()
