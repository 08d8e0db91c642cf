"""The `local` transport: this machine as an environment."""

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from ocattach.errors import OcattachError, TimedOutError
from ocattach.execution import CommandResult, Stream, check_output
from ocattach.transports.base import Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.route import Route

COMMAND_NOT_FOUND = 127
CANNOT_EXECUTE = 126
END_SECONDS = 2
CHUNK = 64 * 1024


class LocalTransport(CommandTransport):
    """Runs commands as child processes and connects to ports directly."""

    scheme = "local"
    shares_files = True
    reaches_ports = True
    place = "this machine"

    def plan(self) -> Plan:
        return Plan("this machine, as this account", routes=("direct: the daemon's port",))

    def check_available(self) -> Availability:
        return Availability("This machine")

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return not_started(error)
        with process:
            try:
                stdout, stderr = Exchange(process, stdin).collect(time.monotonic() + timeout)
            except TimeoutError as error:
                raise TimedOutError(
                    f"{argv[0]} on this machine did not end within {timeout:.0f} s"
                ) from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        code = process.returncode
        return CommandResult(code if code >= 0 else 128 - code, stdout, stderr)

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return ProcessStream(argv)

    def routes(self, port: int) -> Iterator[Callable[[], Route]]:
        """Yield the only route: a direct connection."""
        yield lambda: DirectRoute(self.daemon_host(port))


class Exchange:
    """Feeds a process and collects its output, as `Popen.communicate` does, but with a limit on the output."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self._process = process
        self._unsent = memoryview(stdin)
        self._collected = {process.stdout: bytearray(), process.stderr: bytearray()}
        self._selector = selectors.DefaultSelector()

    def collect(self, deadline: float) -> tuple[bytes, bytes]:
        """Return stdout and stderr when the process has ended.

        Raises TimeoutError, and TooMuchOutputError as soon as the output exceeds the limit.
        """
        with self._selector:
            self._watch(self._process.stdin, selectors.EVENT_WRITE, self._feed)
            for pipe in self._collected:
                self._watch(pipe, selectors.EVENT_READ, self._take)
            while self._selector.get_map():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                for key, _ in self._selector.select(left):
                    key.data(key.fileobj)
        try:
            self._process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        stdout, stderr = self._collected.values()
        return bytes(stdout), bytes(stderr)

    def _watch(self, pipe: IO[bytes] | None, event: int, callback: Callable[[IO[bytes]], None]) -> None:
        if pipe is None:
            raise TypeError(self._process)
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, event, callback)

    def _feed(self, pipe: IO[bytes]) -> None:
        try:
            self._unsent = self._unsent[os.write(pipe.fileno(), self._unsent) :]
        except BrokenPipeError:  # it has closed its input
            self._unsent = memoryview(b"")
        if not self._unsent:
            self._end(pipe)

    def _take(self, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), CHUNK)
        self._collected[pipe] += data
        check_output(sum(map(len, self._collected.values())), LocalTransport.place)
        if not data:
            self._end(pipe)

    def _end(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()


def not_started(error: OSError) -> CommandResult:
    """Return the exit code and message of a shell for a program that could not be started."""
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return CommandResult(COMMAND_NOT_FOUND if missing else CANNOT_EXECUTE, b"", str(error).encode())


class ProcessStream(Stream):
    """A child process whose stdin and stdout are one socket."""

    def __init__(self, argv: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise OcattachError(f"Cannot start {argv[0]} on this machine: {error}") from error

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def close(self) -> None:
        self._socket.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
