"""Another ocattach on this terminal, from `--status --watch`, which goes on when that has ended."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from ocattach.cli.keys import ENDING_SIGNALS, end_process
from ocattach.printable import command_line

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""Signals that the terminal sends to the other process, too."""


def run_ocattach(arguments: Sequence[str]) -> None:
    """Run ocattach with these arguments to its end; if it fails, wait for a key, so that its error can be read."""
    with (
        signals_left_to_child(),
        subprocess.Popen([sys.executable, "-P", "-m", "ocattach", *arguments]) as process,
    ):
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code:
        command = command_line("ocattach", *arguments)
        click.pause(f"{command} ended with exit code {code}. Press any key to return to the table", err=True)


@contextmanager
def signals_left_to_child() -> Iterator[None]:
    """Leave Ctrl-C to the other process, and end with it when this one is ended."""
    former = {number: signal.signal(number, ignore) for number in FROM_TERMINAL}
    former |= {number: signal.signal(number, end_process) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def ignore(*_: object) -> None:
    """Signal handler: do nothing. Unlike SIG_IGN it is not passed on to other programs (execve(2))."""
