"""A relay that starts before a route uses it: with the search for the daemon, beside it, or while the daemon starts."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module

from ocattach.daemon import DaemonSettings, Probe, probe
from ocattach.daemon.script import new_mark, script_argv, script_input
from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError
from ocattach.execution import CommandResult, Stream, check_output, on_error
from ocattach.opencode.runtime import javascript_argv
from ocattach.transports.exchange import exchange
from ocattach.tunnel.relay import relay_source

RECORD_VARIABLES = ("HOME", "XDG_STATE_HOME")
"""The variables on which it depends where a daemon is recorded."""

TUNNEL = "ocattach.tunnel.tunnel"
"""What is loaded while the environment works: with asyncio and h11 it takes as long as a command there."""

log = logging.getLogger(__name__)

OpenStream = Callable[[Sequence[str]], Stream]


class EarlyRelay:
    """At most one relay, until a route takes it or it is ended."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None
        self._is_wanted = False

    @property
    def is_starting(self) -> bool:
        """Whether a thread may still be starting it."""
        return self._thread is not None

    def prepare(self) -> None:
        """Let the next `find` start it, and load in a thread what will use it."""
        self.end()
        self._is_wanted = True
        self._run_in_thread(partial(import_module, TUNNEL))

    def find(
        self, open_stream: OpenStream, settings: DaemonSettings, *, place: str, timeout: float
    ) -> Probe | None:
        """Look for the daemon by a command that becomes the relay if that is recorded, run by its program.

        This is one command in the place of two. Returns None if it is not prepared, or if the command gave no answer:
        another without a relay may say why. `place` names the environment in error messages.
        """
        if not self._is_wanted:
            return None
        self._is_wanted = False
        mark = new_mark()

        def run(argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
            self._stream = stream = open_stream(argv)
            with on_error(self.end):
                output = run_script(stream, stdin, mark, place=place, timeout=timeout)
            # The stream must not lack what came after the report: another relay is started then.
            if f"\n{mark} relay=1\n".encode() not in output or not output.endswith(last_line(mark)):
                self.end()
            return CommandResult(0, output, b"")

        relay = javascript_argv("PROGRAM", relay_source())
        try:
            return probe(run, settings, timeout=timeout, mark=mark, relay=relay)
        except (ConnectionLostError, OSError):
            return None

    def start(self, open_stream: OpenStream, settings: DaemonSettings) -> None:
        """Start it in a thread, by the program of the daemon that is recorded there. Without one it ends at once.

        Where a further command costs little, as on an ssh host, this is sooner than `find`.
        """
        self.end()
        self._run_in_thread(partial(self._start, open_stream, settings))

    def _start(self, open_stream: OpenStream, settings: DaemonSettings) -> None:
        argv = script_argv("relay", *javascript_argv("PROGRAM", relay_source()))
        env = [(name, value) for name, value in settings.env if name in RECORD_VARIABLES]
        unset = [name for name in settings.unset_env if name in RECORD_VARIABLES]
        with suppress(OcattachError, OSError):  # another is started when it is needed, and its error is shown
            self._stream = stream = open_stream(argv)
            stream.socket.sendall(script_input("relay", env=env, unset=unset))
        import_module(TUNNEL)

    def keep(self, stream: Stream) -> None:
        """End the former one, and keep one that was started otherwise."""
        self.end()
        self._stream = stream

    def take(self) -> Stream | None:
        """Return its stream, which the caller then closes; None without one. Waits for the thread."""
        self._await_thread()
        stream, self._stream = self._stream, None
        return stream

    def end(self) -> None:
        """Close it, if no route has taken it. Waits for the thread."""
        stream = self.take()
        if stream is not None:
            stream.close()

    def _run_in_thread(self, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                work()
            except Exception:
                log.exception("Could not prepare a relay")

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def _await_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()


def last_line(mark: str) -> bytes:
    """Return the end of a report."""
    return f"\n{mark} end=1\n".encode()


def run_script(stream: Stream, stdin: bytes, mark: str, *, place: str, timeout: float) -> bytes:
    """Send a script its input, and return its output until its report or the output ends.

    Raises TimedOutError, TooMuchOutputError, and OSError if the connection is lost.
    """
    output = bytearray()
    received = 0
    try:
        for data in exchange(stream.socket, stdin, time.monotonic() + timeout, ends_input=False):
            output += stream.decode(data)
            received += len(data)  # with its stderr
            check_output(received, place)
            if last_line(mark) in output:
                break
    except TimeoutError:
        raise TimedOutError(f"A command in {place} did not end within {timeout:.0f} s") from None
    stream.socket.setblocking(True)
    return bytes(output)
