"""The person at the terminal, as a link sees them, and what they see while something is being done."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import click

from ocattach.cli.terminal import escape, has_colours, has_terminal, is_dumb, say, terminal_width

PAUSE_SECONDS = 0.5
"""What takes less time is not shown; the seconds are shown as often."""


class Person:
    """Shows steps and notices, and asks questions (`Foreground` in link/messages)."""

    def __init__(self, *, quiet: bool = False, asks: bool = True) -> None:
        self._quiet, self._asks = quiet, asks
        self._progress = Progress(quiet=quiet)

    def asking(self) -> AbstractContextManager[None]:
        """Show during a context that environments are asked."""
        return self.waiting("Asking the environments")

    def waiting(self, text: str) -> AbstractContextManager[None]:
        """Show what is being done during a context, first this."""
        return self._progress.shown(text)

    def doing(self, text: str) -> None:
        """Show what is done now, where there is a terminal."""
        self._progress.doing(text)

    def heading(self, text: str) -> None:
        """Print what is about to be done."""
        if not self._quiet:
            say(text)

    def step(self, text: str) -> None:
        """Print a completed step."""
        if self._quiet:
            return
        self._progress.doing("")
        mark = click.style("✓", fg="green") if has_colours(sys.stderr) else "✓"
        click.echo(f"{mark} {escape(text)}", err=True)

    def notice(self, text: str) -> None:
        """Print a notice about an earlier event, such as a daemon that crashed."""
        if not self._quiet:
            self._progress.doing("")
            say(f"! {text}", colour="yellow")

    def answer(self, text: str, *, secret: bool, confirm: bool) -> str | None:
        """Ask a question and return the answer; None if that is not possible. There is no default answer."""
        if not (self._asks and has_terminal()):
            return None
        self._progress.doing("")
        if confirm:
            return "yes" if click.confirm(escape(text), default=None, err=True) else "no"
        answer: str = click.prompt(
            escape(text), hide_input=secret, prompt_suffix="", err=True, default="", show_default=False
        )
        return answer


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
            self._draw("")
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

    def _draw(self, line: str) -> None:
        """Put a line in the place of the last one, by spaces and carriage returns alone."""
        before = " " * len(self._shown)
        if line or before:
            click.echo(f"\r{before}\r{line}", nl=False, err=True)
        self._shown = line
