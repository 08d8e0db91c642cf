"""The link process: listens on its private socket, serves commands, and ends when it is idle."""

import fcntl
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from ocattach.config.files.paths import config_directory
from ocattach.config.settings import Settings, load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.defects import as_error
from ocattach.errors import OcattachError, UsageError
from ocattach.execution import on_error
from ocattach.link.clock import Clock
from ocattach.link.files import LinkFiles, browser_file, link_files
from ocattach.link.messages import PROTOCOL, HungUpError, Message, MessageChannel
from ocattach.link.server.credential import link_credential, link_ports
from ocattach.link.server.events import send_events
from ocattach.link.server.foreground_connection import ForegroundConnection
from ocattach.link.server.local_port import Wanted
from ocattach.link.server.log import log_failure, logged_error, start_log
from ocattach.link.server.port import LocalAccess
from ocattach.link.server.supervisor import Environment
from ocattach.link.sessions.hooks import Hooks
from ocattach.link.sessions.notices import Notices
from ocattach.printable import command_line
from ocattach.tunnel.limits import Limits

logger = logging.getLogger(__name__)

CLOCK_SECONDS = 1.0
"""How often the clocks are checked."""

REQUEST_SECONDS = 5
JOIN_SECONDS = 5
BACKLOG = 64


class Link:
    """The server on a link's socket."""

    def __init__(self, files: LinkFiles, settings: Settings, access: LocalAccess) -> None:
        self._files = files
        self._idle_limit = settings.link_idle_seconds
        self._access = access
        self._environment = Environment(
            access,
            Limits(held_seconds=settings.hold_seconds, dead_after=settings.dead_seconds),
            subscribers=(Hooks(settings.hooks), Notices(settings.notify)),
        )
        self._acts_on_events = bool(settings.hooks or settings.notify)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._requests: list[threading.Thread] = []
        self._ending = threading.Event()
        self._gone = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self.wake_descriptor = self._wake.fileno()
        """Writing to this descriptor wakes `serve`."""

    def listen(self) -> None:
        """Bind the socket, and remove one that a killed link left behind."""
        self._files.socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server.bind(str(self._files.socket))
        finally:
            os.umask(before)
        self._server.listen(BACKLOG)

    def end(self) -> None:
        """Make `serve` return soon. May be called from any thread and signal handler."""
        self._ending.set()
        with suppress(BlockingIOError):  # already signalled
            self._wake.send(b"\0")

    def serve(self) -> None:
        """Serve requests until the link ends."""
        clock = Clock(CLOCK_SECONDS)
        while not self._ending.is_set():
            try:
                self._serve_next(clock)
            except Exception as error:
                logger.exception("cannot serve: %s", type(error).__name__)
                self._ending.wait(CLOCK_SECONDS)

    def _serve_next(self, clock: Clock) -> None:
        ready, _, _ = select.select([self._server, self._woken], [], [], self._seconds_to_wait())
        if clock.has_jumped():
            self._environment.check()
        if self._woken in ready:
            self._woken.recv(BACKLOG)
        if self._server in ready:
            connection, _ = self._server.accept()
            self._accept(connection)
        elif not ready and self._has_idled():
            logger.info("ending: the link is idle")
            self._ending.set()

    def _seconds_to_wait(self) -> float:
        idle = self._environment.idle_seconds or 0.0
        return min(CLOCK_SECONDS, max(0.1, self._idle_limit - idle))

    def _has_idled(self) -> bool:
        if self._has_other_requests() or (self._acts_on_events and self._environment.is_at_work):
            return False
        idle = self._environment.idle_seconds
        return idle is None or idle >= self._idle_limit

    def _accept(self, connection: socket.socket) -> None:
        thread = threading.Thread(
            target=self._handle, args=(connection,), name="ocattach-request", daemon=True
        )
        self._requests = [thread, *(other for other in self._requests if other.is_alive())]
        thread.start()

    def _has_other_requests(self) -> bool:
        return any(thread.is_alive() for thread in self._requests if thread is not threading.current_thread())

    def _handle(self, connection: socket.socket) -> None:
        channel = MessageChannel(connection)
        try:
            self._converse(channel)
        except HungUpError:
            logger.info("a command closed its connection")
        finally:
            channel.close()
            if self._environment.idle_seconds is None and not self._has_other_requests():
                self.end()

    def _converse(self, channel: MessageChannel) -> None:
        """Serve one request. Any exception is the answer."""
        try:
            self._serve_request(channel)
        except HungUpError:
            raise
        except BaseException as error:  # noqa: BLE001 - an odd answer of the environment must not end the link
            failure = logged_error(error)
            logger.info("failed: %s", failure)
            channel.send({"error": failure.to_json()})

    def _serve_request(self, channel: MessageChannel) -> None:
        try:
            request = channel.receive(timeout=REQUEST_SECONDS)
        except TimeoutError as error:
            raise HungUpError from error
        is_ours = request.get("protocol") == PROTOCOL
        if request["do"] == "status":  # must not change anything
            channel.send(self._status(request) if is_ours else {"protocol": PROTOCOL})
        elif request["do"] == "daemon":  # as above
            channel.send(
                {"daemon": self._environment.answers.daemon()} if is_ours else {"protocol": PROTOCOL}
            )
        elif is_ours and request["do"] == "log-out":
            channel.send({"logged_out": self._environment.log_out_browsers()})
        elif is_ours and request["do"] == "events":
            send_events(channel, self._environment.events, is_resumed=bool(request.get("since_last")))
        elif is_ours and request["do"] == "login":
            channel.send({"login": self._environment.answers.login()})
            while not (channel.has_ended() or self._ending.wait(CLOCK_SECONDS)):
                pass  # as long as the login is used, the link does not end for being idle
        elif is_ours and request["do"] == "forward":
            self._forward(channel, request)
        elif not is_ours or request["do"] == "end":
            logger.info("ending: requested by a command with protocol %s", request.get("protocol"))
            self.end()
            self._gone.wait(JOIN_SECONDS)  # the connection's closing is the answer
        else:
            channel.send(self._answer(request, ForegroundConnection(channel, request["environ"])))

    def _status(self, request: Message) -> Message:
        status, directories = {"status": self._environment.answers.status()}, request.get("directories")
        if directories is None:
            return status
        return {**status, "snapshot": self._environment.answers.snapshot(directories, request.get("since"))}

    def _forward(self, channel: MessageChannel, request: Message) -> None:
        self._environment.forwards.serve(
            channel,
            ConnectionSpec.from_json(request["spec"]),
            ForegroundConnection(channel, request["environ"]),
            [Wanted(*each) for each in request["ports"]],
            timeout=float(request["timeout"]),
        )

    def _answer(self, request: Message, foreground: ForegroundConnection) -> Message:
        spec = ConnectionSpec.from_json(request["spec"])
        timeout = float(request["timeout"])
        match request["do"]:
            case "attach":
                start = bool(request["start"])
                return {"attached": self._environment.attach(spec, foreground, start=start, timeout=timeout)}
            case "log-in":
                return {"browser": self._access.log_in(request["name"], request["path"])}
            case "await-log-in":
                return {"logged_in": self._access.browsers.await_use(request["token"])}
            case "ports":
                return {"ports": self._environment.forwards.all_ports(spec, foreground, timeout=timeout)}
            case "stop":
                force = bool(request["force"])
                stopped = self._environment.stop_daemon(spec, foreground, force=force, timeout=timeout)
                self.end()
                return {"stopped": stopped}
            case unknown:
                raise UsageError(f"Unknown request to a link: {unknown}")

    def close(self) -> None:
        """Close everything, the socket first, so that the next command starts a new link."""
        self._files.socket.unlink(missing_ok=True)
        self._server.close()
        self._access.browsers.drop_links()
        self._environment.close()
        self._gone.set()
        for thread in tuple(self._requests):
            thread.join(JOIN_SECONDS)
        self._wake.close()
        self._woken.close()


def read_key() -> str:
    """Return the key that the command writes, and close the pipe to it; empty if that has ended without need."""
    key = sys.stdin.readline().strip()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, sys.stdin.fileno())
    os.close(nowhere)
    return key


def run(key: str, environ: Mapping[str, str]) -> int:
    """Run the link for a key. Prints "ready" once it listens, "taken" if another link runs, else an error as JSON."""
    files = link_files(key, environ)
    try:
        link = started(key, environ, files)
    except Exception as error:  # noqa: BLE001 - whatever it is, the command that waits gets the reason
        report_start(json.dumps(start_error(error, files).to_json()))
        return 1
    if link is None:
        report_start("taken")
        return 0

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        link.end()

    # Wakes the thread in `serve`, whichever thread gets the signal.
    signal.set_wakeup_fd(link.wake_descriptor, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        report_start("ready")
        link.serve()
    finally:
        signal.set_wakeup_fd(-1)
        link.close()
        logger.info("ended")
    return 0


def started(key: str, environ: Mapping[str, str], files: LinkFiles) -> Link | None:
    """Return a link that listens; None if another one runs."""
    start_log(files.log)
    threading.excepthook = log_failure
    if not take_lock(files.lock):
        return None
    settings = load_settings(config_directory(environ))
    access = LocalAccess(link_credential(key, environ), link_ports(key), browser_file(key, environ))
    link = Link(files, settings, access)
    with on_error(link.close):
        link.listen()
    return link


def start_error(error: Exception, files: LinkFiles) -> OcattachError:
    """Return the error for an exception before the link listens; it may be that the log cannot be written."""
    if isinstance(error, OSError):
        place = error.filename or files.socket
        return OcattachError(
            f"The link process could not start: {place}: {error.strerror}",
            hint=f"Check owner, mode and free space: {command_line('ls', '-ld', place)}",
        )
    return as_error(error, files.log)


def take_lock(path: Path) -> bool:
    """Lock a file until this process ends. Returns False if another process has it.

    By flock, as `filelock` does, which takes as long to import as ssh needs to run a command.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def report_start(word: str) -> None:
    """Print a line for the process that started this one, and close the pipe to it."""
    os.write(sys.stdout.fileno(), f"{word}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
