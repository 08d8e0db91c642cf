"""The link process: listens on its private socket, serves foregrounds, ends when it has been idle long enough."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

from ocattach.config.files.paths import config_directory
from ocattach.config.settings import Settings, load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import AuthenticationError, OcattachError, UsageError
from ocattach.link.clock import Clock
from ocattach.link.files import LinkFiles, link_files
from ocattach.link.messages import PROTOCOL, Channel, HungUpError, Message
from ocattach.link.server.credential import Credential, link_credential, link_ports
from ocattach.link.server.log import start_log
from ocattach.link.server.supervisor import Environment
from ocattach.transports.base import Question

logger = logging.getLogger(__name__)

PERSON_SECONDS = 300
"""How long a person may take to answer a question."""

LOOK_SECONDS = 1.0
"""How often the clocks are looked at."""

REQUEST_SECONDS = 5
JOIN_SECONDS = 5
BACKLOG = 64


class ForegroundConnection:
    """A foreground on the other end of a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def step(self, text: str) -> None:
        """Tell it about a step that was taken."""
        logger.info("step: %s", text)
        self._channel.send({"step": text})

    def notice(self, text: str) -> None:
        """Tell it about something that happened when nobody was there."""
        self._channel.send({"notice": text})

    def ask(self, question: Question) -> str:
        """Let the person answer. Raises AuthenticationError where there is none."""
        self._channel.send(
            {"ask": {"text": question.text, "secret": question.secret, "confirm": question.confirm}}
        )
        try:
            answer = self._channel.receive(timeout=PERSON_SECONDS).get("answer")
        except TimeoutError as error:
            raise AuthenticationError(
                f"Nobody answered within {PERSON_SECONDS} s: {question.text}",
                hint="Connect again, and answer it",
            ) from error
        if answer is None:
            raise AuthenticationError(
                f"There is no terminal to answer this on: {question.text}",
                hint="Run it once from a terminal",
            )
        return str(answer)


class Link:
    """The server behind a link's socket."""

    def __init__(
        self, files: LinkFiles, settings: Settings, credential: Credential, ports: Sequence[int]
    ) -> None:
        self._files = files
        self._idle_limit = settings.link_idle_seconds
        self._environment = Environment(
            credential, ports, held_seconds=settings.hold_seconds, dead_after=settings.dead_seconds
        )
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._visitors: list[threading.Thread] = []
        self._ending = threading.Event()
        self._gone = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)

    def listen(self) -> None:
        """Take the socket's name; one that a killed link left behind is in the way, and is ours to remove."""
        self._files.socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server.bind(str(self._files.socket))
        finally:
            os.umask(before)
        self._server.listen(BACKLOG)

    @property
    def wake_descriptor(self) -> int:
        """What is written to it makes `serve` look around."""
        return self._wake.fileno()

    def end(self) -> None:
        """Make `serve` return soon; may be called from anywhere."""
        self._ending.set()
        with suppress(BlockingIOError):  # enough has been written already
            self._wake.send(b"\0")

    def serve(self) -> None:
        """Serve foregrounds until the end."""
        import select  # noqa: PLC0415

        clock = Clock(LOOK_SECONDS)
        while not self._ending.is_set():
            ready, _, _ = select.select([self._server, self._woken], [], [], self._next_look())
            if clock.has_jumped():
                self._environment.check()
            if self._woken in ready:
                self._woken.recv(BACKLOG)
            if self._server in ready:
                connection, _ = self._server.accept()
                self._welcome(connection)
            elif not ready and self._has_idled():
                logger.info("nobody uses this link any more: ending")
                break

    def _next_look(self) -> float:
        idle = self._environment.idle_seconds or 0.0
        return min(LOOK_SECONDS, max(0.1, self._idle_limit - idle))

    def _has_idled(self) -> bool:
        idle = self._environment.idle_seconds
        return not self._has_other_visitors() and (idle is None or idle >= self._idle_limit)

    def _welcome(self, connection: socket.socket) -> None:
        thread = threading.Thread(
            target=self._visit, args=(connection,), name="ocattach-visitor", daemon=True
        )
        self._visitors = [thread, *(other for other in self._visitors if other.is_alive())]
        thread.start()

    def _has_other_visitors(self) -> bool:
        return any(thread.is_alive() for thread in self._visitors if thread is not threading.current_thread())

    def _visit(self, connection: socket.socket) -> None:
        channel = Channel(connection)
        try:
            request = channel.receive(timeout=REQUEST_SECONDS)
            is_ours = request.get("protocol") == PROTOCOL
            if request["do"] == "status":  # asked by whoever looks around, who must not change anything
                channel.send(self._status(request) if is_ours else {"protocol": PROTOCOL})
                return
            if request["do"] == "daemon":  # the same
                channel.send({"daemon": self._environment.daemon()} if is_ours else {"protocol": PROTOCOL})
                return
            if not is_ours or request["do"] == "end":
                logger.info("ending: asked to by a foreground of protocol %s", request.get("protocol"))
                self.end()
                self._gone.wait(JOIN_SECONDS)  # the connection's closing is the answer
                return
            answer = self._answer(request, ForegroundConnection(channel))
            channel.send(answer)
        except (HungUpError, TimeoutError):
            logger.info("a foreground went away")
        finally:
            channel.close()
            if self._environment.idle_seconds is None and not self._has_other_visitors():
                self.end()

    def _status(self, request: Message) -> Message:
        """How things stand, and with `directories` what the daemon says of these."""
        status, directories = {"status": self._environment.status()}, request.get("directories")
        if directories is None:
            return status
        return {**status, "look": self._environment.look(directories, request.get("since"))}

    def _answer(self, request: Message, visitor: ForegroundConnection) -> Message:
        try:
            spec = ConnectionSpec.from_json(request["spec"])
            timeout = float(request["timeout"])
            match request["do"]:
                case "attach":
                    start = bool(request["start"])
                    return {"attached": self._environment.attach(spec, visitor, start=start, timeout=timeout)}
                case "stop":
                    force = bool(request["force"])
                    stopped = self._environment.stop_daemon(spec, visitor, force=force, timeout=timeout)
                    self.end()
                    return {"stopped": stopped}
                case unknown:
                    raise UsageError(f"A link cannot {unknown}")
        except OcattachError as error:
            logger.info("failed: %s", error)
            return {"error": error.to_json()}

    def close(self) -> None:
        """Let go of everything: the name first, so that the next foreground starts a link of its own."""
        self._files.socket.unlink(missing_ok=True)
        self._server.close()
        self._environment.close()
        self._gone.set()
        for thread in tuple(self._visitors):
            thread.join(JOIN_SECONDS)
        self._wake.close()
        self._woken.close()


def run(key: str, environ: Mapping[str, str]) -> int:
    """Be the link for a key; prints "ready" once it listens, "taken" when another one is there already."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    files = link_files(key, environ)
    start_log(files.log)
    threading.excepthook = log_failure
    lock = FileLock(files.lock, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        tell_starter("taken")
        return 0
    settings = load_settings(config_directory(environ))
    link = Link(files, settings, link_credential(key, environ), link_ports(key))

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        link.end()

    # Whichever thread the signal hits, the one that waits in `serve` is woken.
    signal.set_wakeup_fd(link.wake_descriptor, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        link.listen()
        tell_starter("ready")
        link.serve()
    finally:
        signal.set_wakeup_fd(-1)
        link.close()
        logger.info("ended")
    return 0


def log_failure(failure: threading.ExceptHookArgs) -> None:
    """Keep what ended a thread: there is no terminal to show it on, and the foreground names the log."""
    exception = failure.exc_value or failure.exc_type()
    logger.error("%s failed", failure.thread and failure.thread.name, exc_info=exception)


def tell_starter(word: str) -> None:
    """Tell the process that started this one how it went, and hold its pipe no longer."""
    os.write(sys.stdout.fileno(), f"{word}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
