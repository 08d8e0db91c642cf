"""Another ocattach on this terminal, from `--status --watch`, which goes on when that has ended."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

import click

from ocattach.cli.keys import ENDING_SIGNALS, end_process, signals_handled
from ocattach.printable import command_line

FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""Signals that the terminal sends to the other process, too."""


def run_ocattach(arguments: Sequence[str]) -> None:
    """Run ocattach with these arguments to its end; if it fails, wait for a key, so that its error can be read."""
    ignored = dict.fromkeys(FROM_TERMINAL, ignore)
    with (
        signals_handled({**ignored, **dict.fromkeys(ENDING_SIGNALS, end_process)}),
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


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Signal handler: do nothing. Unlike SIG_IGN it is not passed on to other programs (execve(2))."""
