"""Single key presses from a terminal, without Enter."""

import codecs
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Self

ESCAPE_SECONDS = 0.05
"""How long to wait for the rest of an escape sequence; an Esc without one is the key Escape."""

CONTROLS = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}

SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "Z": "back-tab",
    "1~": "home", "3~": "delete", "4~": "end", "5~": "page-up", "6~": "page-down", "7~": "home", "8~": "end",
}  # fmt: skip
"""Keys by the characters after `ESC [` or `ESC O`, for xterm, the Linux console, tmux and rxvt."""

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Keyboard:
    """A context in which the terminal delivers each key at once and echoes none.

    At exit the former mode is restored, also after an error, Ctrl-C, or a signal that ends the process. Ctrl-C
    raises KeyboardInterrupt; Ctrl-Z is disabled, since it would leave the shell with the changed mode.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._typed = ""
        """Characters that were read and not yet returned."""
        self._changes = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as changes:
            if threading.current_thread() is threading.main_thread():
                changes.enter_context(signals_handled(dict.fromkeys(ENDING_SIGNALS, end_process)))
            changes.enter_context(terminal_restored(self._descriptor))
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)
            mode = termios.tcgetattr(self._descriptor)
            mode[tty.CC][termios.VSUSP] = b"\0"
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, mode)
            self._changes = changes.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._changes.close()

    def read_key(self, timeout: float | None = None) -> str | None:
        """Return the next key; None if none was pressed within `timeout` seconds.

        A character is returned as it is, any other key by name: enter, escape, backspace, tab, back-tab, delete, up,
        down, left, right, home, end, page-up, page-down, and with Ctrl such as ctrl-u. Unknown keys are ignored.
        Raises EOFError when the terminal is closed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            while not self._typed:
                if not self._read(None if deadline is None else deadline - time.monotonic()):
                    return None
            if (key := self._next_key()) is not None:
                return key

    def _next_key(self) -> str | None:
        """Take the first key from the characters read; None for an unknown key."""
        first, self._typed = self._typed[0], self._typed[1:]
        if first == "\x1b":
            return self._after_escape()
        if first in CONTROLS:
            return CONTROLS[first]
        if first < " ":
            return f"ctrl-{chr(ord(first) + 96)}" if "\x01" <= first <= "\x1a" else None
        return first if first.isprintable() else None

    def _after_escape(self) -> str | None:
        if not (self._typed or self._read(ESCAPE_SECONDS)) or self._typed[0] not in "[O":
            return "escape"
        end = 1
        while True:
            if end == len(self._typed) and not self._read(ESCAPE_SECONDS):
                break
            if "\x40" <= self._typed[end] <= "\x7e":  # the final byte of a control sequence (ECMA-48, 5.4)
                end += 1
                break
            end += 1
        sequence, self._typed = self._typed[1:end], self._typed[end:]
        return SEQUENCES.get(sequence)

    def _read(self, timeout: float | None) -> bool:
        """Wait for input and read it; False after `timeout` seconds without any."""
        waited = None if timeout is None else max(0.0, timeout)
        if not select.select([self._descriptor], [], [], waited)[0]:
            return False
        try:
            data = os.read(self._descriptor, 1024)
        except OSError as error:  # EIO: the other side of the terminal was closed
            raise EOFError from error
        if not data:
            raise EOFError
        self._typed += self._decoder.decode(data)
        return True


@contextmanager
def terminal_restored(descriptor: int) -> Iterator[None]:
    """Give the terminal its present settings again after the context."""
    settings = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)


@contextmanager
def signals_handled(
    handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], None]],
) -> Iterator[None]:
    """Handle these signals during the context."""
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def end_process(number: int, _frame: FrameType | None) -> None:
    """Signal handler: exit by SystemExit, so that the terminal mode is restored."""
    raise SystemExit(128 + number)
