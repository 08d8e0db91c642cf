"""A line on the terminal for what is being done, which is gone when it is done."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ocattach.cli.terminal import escape, is_dumb, terminal_width

PAUSE_SECONDS = 0.5
"""What takes less time is not shown; the seconds are shown as often."""


class Progress:
    """What is being done and for how many seconds; nothing where stderr is not a terminal, or a dumb one."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._is_wanted = not quiet and sys.stderr.isatty() and not is_dumb()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._text, self._since = "", 0.0
        self._shown = ""

    def doing(self, text: str) -> None:
        """Show this in a moment, until something else is done; nothing if it is empty."""
        with self._lock:
            self._clear()
            self._text, self._since = text, time.monotonic()

    @contextmanager
    def shown(self, text: str) -> Iterator[None]:
        """Show what is done during the context, first this."""
        if not self._is_wanted:
            yield
            return
        self.doing(text)
        self._wake.clear()
        thread = threading.Thread(target=self._run, name="ocattach-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._wake.set()
            self.doing("")

    def _run(self) -> None:
        while not self._wake.wait(PAUSE_SECONDS):
            with self._lock:
                seconds = time.monotonic() - self._since
                if self._text and seconds >= PAUSE_SECONDS and not self._wake.is_set():
                    room = terminal_width(sys.stderr) - 1
                    self._draw(f"  {escape(self._text)} ({seconds:.0f} s)"[:room])

    def _clear(self) -> None:
        self._draw("")

    def _draw(self, line: str) -> None:
        """Put a line in the place of the last one, by spaces and carriage returns alone."""
        before = " " * len(self._shown)
        if line or before:
            click.echo(f"\r{before}\r{line}", nl=False, err=True)
        self._shown = line
