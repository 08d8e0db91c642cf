"""Finds and starts a link, and sends it requests."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ocattach.backoff import Deadline
from ocattach.config.files.safe import not_written, private_directory
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError
from ocattach.link.client.starting import EARLY, LinkProcess
from ocattach.link.files import LinkFiles, link_files
from ocattach.link.messages import PROTOCOL, Foreground, HungUpError, Message, MessageChannel
from ocattach.printable import command_line

GRACE_SECONDS = 5
"""How much longer than the link's own deadline the command waits for its answer."""

PAUSE_SECONDS = 0.02
START_SECONDS = 15
TRIES = 3
"""How often a link may end instead of answering."""

END_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Attachment:
    """A daemon that can be used, by the URL of its link."""

    url: str
    username: str
    password: str = field(repr=False)
    workdir: str | None
    version: str
    route: str
    port: int
    """The daemon's port in its environment."""

    pid: int | None
    """None if only the URL of the daemon is known."""

    started: bool
    shares_files: bool
    ca_file: str | None = None
    """Further CA certificates that clients of the URL need."""

    waiting: tuple[str, ...] = ()
    """The sessions that are known to wait for a person."""

    history: tuple[Mapping[str, Any], ...] = ()
    """The events of the link's connection, each with its `time` in seconds since the epoch."""


def attach(
    spec: ConnectionSpec, foreground: Foreground, environ: Mapping[str, str], *, start: bool, timeout: float
) -> Attachment:
    """Connect to a daemon: through the environment's link, which is started if needed, or by the daemon's URL.

    `start` says whether a daemon may be started; it must answer within `timeout` seconds.
    """
    if spec.target.needs_link:
        answer = ask(spec, {"do": "attach", "start": start}, foreground, environ, timeout=timeout)
        return Attachment(**answer["attached"])
    from ocattach.link.client.direct import reach  # noqa: PLC0415 - loads the transport

    EARLY.end()
    daemon = reach(spec, foreground, timeout=timeout)
    return Attachment(**asdict(daemon), route="direct", pid=None, started=False, shares_files=False)


def stop_daemon(
    spec: ConnectionSpec, foreground: Foreground, environ: Mapping[str, str], *, force: bool, timeout: float
) -> int | None:
    """Stop the daemon of an environment, and end its link. Returns the daemon's pid; None if none ran."""
    if not spec.target.needs_link:
        from ocattach.link.client import direct  # noqa: PLC0415 - loads the transport

        return direct.stop_daemon(spec, foreground, force=force, timeout=timeout)
    answer = ask(spec, {"do": "stop", "force": force}, foreground, environ, timeout=timeout)
    await_end(link_files(spec.link_key(environ), environ))
    stopped: int | None = answer["stopped"]
    return stopped


def ask(
    spec: ConnectionSpec,
    message: Message,
    foreground: Foreground,
    environ: Mapping[str, str],
    *,
    timeout: float,
    stay: Callable[[MessageChannel, Message], Message] = lambda _, answer: answer,
) -> Message:
    """Send a request to the environment's link, which is started if there is none, and return the answer.

    With `stay` the result is what that returns for the answer, before the channel is closed.
    """
    message = {
        **message,
        "protocol": PROTOCOL,
        "spec": spec.to_json(),
        "environ": dict(environ),
        "timeout": timeout,
    }
    deadline = Deadline(timeout + GRACE_SECONDS)
    files = link_files(spec.link_key(environ), environ)
    hung_up = 0
    while not deadline.has_passed and hung_up < TRIES:
        channel = connect(files) or start_link(spec, files, environ)
        if channel is None:
            time.sleep(PAUSE_SECONDS)
            continue
        try:
            return stay(channel, converse(channel, message, foreground, deadline))
        except HungUpError:
            # It was just ending, or had another version.
            hung_up += 1
        finally:
            channel.close()
    if hung_up:
        raise ConnectionLostError(
            f"The link to {spec.display()} ended without an answer",
            hint=f"Read its log: {command_line('tail', files.log)}",
        )
    raise TimedOutError(
        f"The link to {spec.display()} did not start in {timeout:.0f} s",
        hint=f"Read its log: {command_line('tail', files.log)}",
    )


def connect(files: LinkFiles) -> MessageChannel | None:
    """Connect to the link; None if it does not run."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(GRACE_SECONDS)
    try:
        connection.connect(str(files.socket))
    except OSError:
        connection.close()
        return None
    return MessageChannel(connection)


def start_link(spec: ConnectionSpec, files: LinkFiles, environ: Mapping[str, str]) -> MessageChannel | None:
    """Start a link process. Returns None if another process was faster, or the former link is just ending."""
    try:
        private_directory(files.log.parent)
    except OSError as error:
        raise not_written(files.log.parent, error) from error
    key, early = spec.link_key(environ), EARLY.take(environ)
    word = early.become(key, timeout=START_SECONDS) if early else ""
    try:
        word = word or LinkProcess(environ).become(key, timeout=START_SECONDS)
    except OSError as error:
        raise OcattachError(f"The link process could not start: {error.strerror}") from error
    if word.startswith("{"):
        raise OcattachError.from_json(json.loads(word))
    if word == "ready":
        return connect(files)
    if word != "taken":
        raise OcattachError(
            f"The link process could not start ({word or 'no answer'})",
            hint=f"Read its log: {command_line('tail', files.log)}",
        )
    return None


def converse(
    channel: MessageChannel, message: Message, foreground: Foreground, deadline: Deadline
) -> Message:
    """Send a request, show steps and notices, and answer questions until the answer arrives.

    Raises the error that the link reports, or HungUpError if the link ends instead.
    """
    channel.send(message)
    while True:
        try:
            answer = channel.receive(timeout=max(0.1, deadline.left))
        except TimeoutError as error:
            raise TimedOutError(
                "The link did not answer in time",
                hint="End all links, and connect again: ocattach --disconnect --all",
            ) from error
        if "doing" in answer:
            foreground.doing(answer["doing"])
        elif "step" in answer:
            foreground.step(answer["step"])
        elif "notice" in answer:
            foreground.notice(answer["notice"])
        elif "ask" in answer:
            asked = time.monotonic()
            channel.send({"answer": foreground.answer(**answer["ask"])})
            deadline.postpone(time.monotonic() - asked)
        elif "error" in answer:
            raise OcattachError.from_json(answer["error"])
        else:
            return answer


def end_link(key: str, environ: Mapping[str, str]) -> bool:
    """End a link and wait until its process is gone. Returns False if there was none."""
    files = link_files(key, environ)
    channel = connect(files)
    if channel is None:
        return False
    try:
        channel.send({"do": "end", "protocol": PROTOCOL})
        while True:
            channel.receive(timeout=END_SECONDS)
    except HungUpError:
        await_end(files)
        return True
    except TimeoutError as error:
        raise not_ended(files) from error
    finally:
        channel.close()


def is_linked(spec: ConnectionSpec, environ: Mapping[str, str]) -> bool:
    """Whether the environment has a link that runs."""
    channel = connect(link_files(spec.link_key(environ), environ))
    if channel is not None:
        channel.close()
    return channel is not None


def await_end(files: LinkFiles) -> None:
    """Wait until the link's process has released its lock."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - slow, and only needed to end a link

    lock = FileLock(files.lock, timeout=END_SECONDS, mode=0o600)
    try:
        with lock.acquire(poll_interval=PAUSE_SECONDS):
            return
    except Timeout as error:
        raise not_ended(files) from error


def not_ended(files: LinkFiles) -> TimedOutError:
    """Return the error for a link that does not end."""
    return TimedOutError(
        f"The link did not end in {END_SECONDS} s", hint=f"Read its log: {command_line('tail', files.log)}"
    )
