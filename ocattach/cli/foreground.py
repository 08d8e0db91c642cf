"""The local side of a command in an environment: terminal, pipes and signals."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType

from ocattach.cli.keys import ENDING_SIGNALS, end_process, signals_handled, terminal_restored
from ocattach.errors import OcattachError
from ocattach.transports.foreground import AttachedCommand, ForegroundCommand, LocalProgram

CHUNK = 64 * 1024
STDIN, STDOUT, STDERR = range(3)


def terminal_size() -> os.terminal_size | None:
    """Return the size of the terminal that a command there gets; None if stdin and stdout are not both terminals."""
    return os.get_terminal_size(STDOUT) if os.isatty(STDIN) and os.isatty(STDOUT) else None


def run_foreground(command: ForegroundCommand, *, has_terminal: bool) -> int:
    """Run a command to its end, and return its exit code. Raises what `AttachedCommand.exit_code` raises."""
    sys.stdout.flush()
    sys.stderr.flush()
    with terminal_restored(STDIN) if has_terminal else nullcontext():
        if isinstance(command, LocalProgram):
            return run_program(command)
        with closing(command.stream), signals_handled(dict.fromkeys(ENDING_SIGNALS, end_process)):
            if has_terminal:
                tty.setraw(STDIN, termios.TCSADRAIN)  # passes on every key, and keeps what was typed before
            Copying(command, has_terminal=has_terminal).run()
            return command.exit_code()


def run_program(program: LocalProgram) -> int:
    """Run a program with this process's terminal and pipes. Returns 128 + N if signal N ended it."""
    process: subprocess.Popen[bytes] | None = None
    received = 0

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received = number
        if (
            process is not None and number in ENDING_SIGNALS
        ):  # a terminal sends the others to the program, too
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGQUIT, *ENDING_SIGNALS):
        signal.signal(number, pass_on)
    try:
        process = subprocess.Popen(program.argv)
    except OSError as error:
        raise OcattachError(f"Cannot start {program.argv[0]} on this machine: {error.strerror}") from error
    code = process.wait()
    if received and code == program.signalled:
        return 128 + received
    return code if code >= 0 else 128 - code


class Copying:
    """Copies between this process's stdin, stdout and stderr and a command, until the command's output ends."""

    def __init__(self, command: AttachedCommand, *, has_terminal: bool) -> None:
        self._command = command
        self._connection = command.stream.socket
        self._has_terminal = has_terminal
        self._unsent = memoryview(b"")
        self._is_reading = True
        self._has_ended = False
        self._selector = selectors.SelectSelector()  # epoll refuses files, and macOS's poll terminals

    def run(self) -> None:
        """Return when the output has ended. Raises BrokenPipeError if stdout or stderr is a closed pipe."""
        self._connection.setblocking(False)
        with self._selector, size_changes() as changes:
            if self._has_terminal:
                self._selector.register(changes, selectors.EVENT_READ, partial(self._resize, changes))
            self._selector.register(STDIN, selectors.EVENT_READ, self._read)
            self._selector.register(self._connection, selectors.EVENT_READ, self._exchange)
            while not self._has_ended:
                for key, ready in self._selector.select():
                    key.data(ready)

    def _resize(self, changes: socket.socket, _ready: int) -> None:
        changes.recv(CHUNK)
        with suppress(OcattachError, OSError):  # the command may just have ended
            self._command.resize(os.get_terminal_size(STDOUT))

    def _read(self, _ready: int) -> None:
        try:
            data = os.read(STDIN, CHUNK)
        except OSError:  # the terminal is gone
            data = b""
        self._selector.unregister(STDIN)  # until this is sent
        self._is_reading = bool(data)
        self._unsent = memoryview(data)
        if data:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(self._connection, both, self._exchange)
        else:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    def _exchange(self, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            self._send()
        if ready & selectors.EVENT_READ:
            self._receive()

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:  # the command has closed its input
            self._unsent = memoryview(b"")
            self._is_reading = False
        if not self._unsent:
            self._selector.modify(self._connection, selectors.EVENT_READ, self._exchange)
            if self._is_reading:
                self._selector.register(STDIN, selectors.EVENT_READ, self._read)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:  # lost: the exit code says so
            data = b""
        self._has_ended = not data
        for output, to in zip(self._command.split(data), (STDOUT, STDERR), strict=True):
            write(to, output)


def write(to: int, data: bytes) -> None:
    """Write all data to a file descriptor."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(to, rest) :]


@contextmanager
def size_changes() -> Iterator[socket.socket]:
    """Yield a socket that can be read from once the size of the terminal has changed."""
    woken, wake = socket.socketpair()
    with woken, wake:
        wake.setblocking(False)
        former = signal.signal(signal.SIGWINCH, lambda *_: None)
        descriptor = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(descriptor)
            signal.signal(signal.SIGWINCH, former)
