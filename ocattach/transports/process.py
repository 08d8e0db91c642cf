"""Child processes as commands: their input and output exchanged with limits, or as a stream."""

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO

from ocattach.errors import OcattachError
from ocattach.execution import Stream

END_SECONDS = 2
CHUNK = 64 * 1024


class Exchange:
    """Feeds a process and passes on its output, as `Popen.communicate` does, but to functions that may raise."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes,
        *,
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
    ) -> None:
        self._process = process
        self._unsent = memoryview(stdin)
        self._takers = {process.stdout: stdout, process.stderr: stderr}
        self._selector = selectors.DefaultSelector()

    def run(self, deadline: float) -> None:
        """Return when the process has ended. Raises TimeoutError, and whatever the functions raise."""
        with self._selector:
            if self._process.stdin is not None:
                self._watch(self._process.stdin, selectors.EVENT_WRITE, self._feed)
            for pipe in self._takers:
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
        self._takers[pipe](data)
        if not data:
            self._end(pipe)

    def _end(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()


class ProcessStream(Stream):
    """A child process whose stdin and stdout are one socket; its stderr goes to a file descriptor."""

    def __init__(self, argv: Sequence[str], *, stderr: int = subprocess.DEVNULL) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            try:
                self._process = subprocess.Popen(
                    argv,
                    cwd="/",
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=stderr,
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
